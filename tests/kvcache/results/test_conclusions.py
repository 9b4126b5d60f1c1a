"""Sentences on results: doubts first, then limits."""

from __future__ import annotations

from mlpstorage_bench.kvcache.results.conclusions import conclusions

STORAGE = {
    "limited_by": "storage",
    "read_gib_s": 2.611,
    "write_gib_s": 0.344,
    "read_p95_ms": 45.02,
    "audit_verdict": "ok",
}
LOAD = {**STORAGE, "limited_by": "load", "busy_share": 0.18}
HARNESS = {**STORAGE, "limited_by": "harness"}
CACHED = {**STORAGE, "audit_verdict": "served from page cache"}
OF_LOAD = (
    "did not reach the limit of the storage: lanes used it for 18% of their time. To find it, "
    "raise num_users or lower think_time_scale."
)


def test_limit_of_storage_has_its_figures() -> None:
    (one,) = conclusions({"1": STORAGE})
    assert one == (
        "Workload 1 reached the limit of the storage: 2.61 GiB/s read and 0.34 GiB/s written, "
        "95 % of entries read within 45.0 ms."
    )


def test_fastest_of_several_cases_is_named() -> None:
    slower = {**STORAGE, "read_gib_s": 1.0, "read_p95_ms": None}
    (one,) = conclusions({"1": slower, "2": STORAGE})
    assert one.startswith("Workloads 1 and 2 reached the limit of the storage: 2.61 GiB/s")
    assert "in workload 2, 95 % of" in one


def test_load_that_is_too_low_says_how_low() -> None:
    assert conclusions({"2": LOAD}) == [f"Workload 2 {OF_LOAD}"]
    range_of = conclusions({"2": LOAD, "3": {**LOAD, "busy_share": 0.05}, "decode": LOAD})
    assert range_of[0].startswith("Workloads 2, 3 and decode did not reach")
    assert "for 5% to 18% of their time" in range_of[0]
    assert ": lanes" not in conclusions({"2": {"limited_by": "load"}})[0]


def test_load_at_a_rate_is_raised_by_its_rate() -> None:
    at_rate = {**LOAD, "lateness_p50_ms": 0.0}
    (alone,) = conclusions({"open-loop": at_rate})
    assert alone.endswith("To find it, raise rate.")
    (beside,) = conclusions({"2": LOAD, "open-loop": at_rate})
    assert beside.endswith(
        "raise num_users or lower think_time_scale, and raise rate in workload open-loop."
    )


def test_figures_of_a_cache_are_no_limit_of_storage() -> None:
    (one,) = conclusions({"1": CACHED})
    assert one.startswith("Do not take the figures of workload 1 for those of the storage")


def test_doubts_come_first_and_each_limit_has_a_sentence() -> None:
    cases = {"1": STORAGE, "2": LOAD, "3": HARNESS, "4": CACHED}
    sentences = conclusions(cases)
    assert [sentence.split()[0] for sentence in sentences] == ["Do", *["Workload"] * 2, "This"]
    assert sentences[-1] == (
        "This host was the limit in workload 3, and not the storage: use more ranks or hosts, or "
        "a larger io_chunk_kib."
    )


def test_processors_that_are_short_do_not_rule_the_storage_out() -> None:
    waiting = {**HARNESS, "processor_wait_share": 0.21, "storage_wait_share": 0.4}
    other = {**HARNESS, "processor_wait_share": 0.02}
    limit, short = conclusions({"1": waiting, "3": other, "4": other})
    assert limit.startswith("This host was the limit in workloads 3 and 4, and not the storage: ")
    assert short == (
        "Processors were short in workload 1: lanes waited for one for 21% of their time, and for "
        "the storage for 40%. Whether the storage can do more is not known: run again while "
        "nothing else uses the processors, or use more hosts."
    )
    (both,) = conclusions({"1": waiting, "2": {**HARNESS, "processor_wait_share": 0.1}})
    assert both.startswith(
        "Processors were short in workloads 1 and 2: lanes waited for one for 10% to 21% of their "
        "time, and for the storage for 40%. Whether"
    )


def test_simulated_cases_say_nothing() -> None:
    assert conclusions({"1": {"limited_by": "not calibrated", "read_gib_s": None}}) == []
    assert conclusions({}) == []
