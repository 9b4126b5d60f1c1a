from __future__ import annotations

from typing import Any

import pytest

from mlpstorage_bench.benchmark_type.records import CaseRecord, TrialRecord
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.results.case_figures import case_figures
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.units import GIB, NS_PER_MS


def spans(*milliseconds: int) -> dict[str, Any]:
    histogram = Histogram()
    for one in milliseconds:
        histogram.record(one * NS_PER_MS)
    return histogram.to_dict()


def operation(tier: str, kind: str, *milliseconds: int, **changes: Any) -> dict[str, Any]:
    return {
        "tier": tier,
        "kind": kind,
        "moved_bytes": GIB,
        "wait": spans(*[1 for _ in milliseconds]),
        "chunk": spans(*milliseconds, *milliseconds),
        "durability": spans(),
        "verification": spans(),
        "device": spans(*milliseconds),
        "host_only": spans(*[2 for _ in milliseconds]),
        **changes,
    }


def rank(number: int, *operations: dict[str, Any], **changes: Any) -> dict[str, Any]:
    own = {
        "rank": number,
        "host": "h1",
        "window_s": 2.0,
        "io_mode": "direct",
        "histograms": {
            "request_latency": spans(10, 20),
            "queue_wait": spans(1),
            "operations": list(operations),
        },
        **changes,
    }
    return {"mlpstorage": own}


def case(*trials: tuple[dict[str, Any], ...], metrics: dict[str, Any] | None = None) -> CaseRecord:
    lookups = {"lookups": {"answer": {"hits": 3, "misses": 1}}}
    records = tuple(TrialRecord(number, lookups, ranks) for number, ranks in enumerate(trials, 1))
    return CaseRecord("kv_cache", "1", len(records), {"title": "T"}, records, metrics=metrics)


def test_samples_of_all_ranks_and_trials_are_pooled() -> None:
    figures = case_figures(
        case(
            (rank(0, operation("storage", "read", 10)), rank(1, operation("storage", "read", 20))),
            (rank(0, operation("storage", "read", 30)), rank(1, operation("storage", "read", 40))),
        )
    )
    entries, chunks = figures.distributions
    assert (entries.name, entries.samples, chunks.samples) == ("read, entries", 4, 8)
    assert dict(entries.points)[50] == pytest.approx(20, rel=0.01)
    assert entries.points[-1] == (100, 40)
    assert max(percent for percent, _ in entries.points[:-1]) == 75  # of four samples
    assert figures.samples["read_p95_ms"] == 4
    assert figures.samples["request_p95_ms"] == 8


def test_bandwidth_of_a_rank_is_the_mean_over_its_trials() -> None:
    read = operation("storage", "read", 1)
    slow = operation("storage", "read", 1, moved_bytes=0)
    (own,) = case_figures(case((rank(0, read),), (rank(0, slow),))).ranks
    assert (own.rank, own.reading_gib_s, own.writing_gib_s) == (0, 0.25, 0.0)


def test_rank_has_its_own_series_of_each_trial() -> None:
    series = {
        "clock_uncertainty_s": 0.0,
        "phases": [
            {
                "phase": "window",
                "begins_s": 0.0,
                "ends_s": 1.0,
                "slot_s": 1.0,
                **{f"{kind}_bytes": [1] for kind in ("read", "write")},
                **{name: [1] for name in ("reads", "writes", "read_chunks", "write_chunks")},
                **{f"{kind}_p95_ms": [None] for kind in ("read", "write")},
                **{f"{kind}_chunk_p95_ms": [None] for kind in ("read", "write")},
            }
        ],
    }
    trials = [(rank(0, trial=number, time_series=series),) for number in (1, 2)]
    (own,) = case_figures(case(*trials)).ranks
    assert [number for number, _ in own.trials] == [1, 2]
    assert own.trials[0][1].window.read_bytes == (1,)


def test_parts_of_an_entry_are_queue_device_flush_verification_and_the_rest() -> None:
    written = operation(
        *("storage", "write", 100, 200), durability=spans(60), verification=spans(1)
    )
    shares = {one.title: one for one in case_figures(case((rank(0, written),))).shares}
    (write,) = shares["Time of an entry"].shares
    assert dict(write.parts) == pytest.approx(
        {
            "queue": 0.002,
            "device": 0.24,
            "flush": 0.06,
            "verification": 0.001,
            "other work of this host": 0.003,
        }
    )


def test_lookups_of_all_trials_and_reads_without_copies_are_shared_out() -> None:
    ranks = (rank(0, operation("cpu", "read", 1, copied_bytes=GIB // 4)),)
    shares = {one.title: one for one in case_figures(case(ranks, ranks)).shares}
    assert shares["Lookups by purpose"].shares[0].parts == (("hits", 6), ("misses", 2))
    assert shares["Reads by tier"].shares[0].parts == (("cpu", 2 * 0.75 * GIB),)


def test_audit_and_ceiling_are_levels_with_their_verdicts() -> None:
    metrics = {"audit_ratio": 0.99, "audit_verdict": "ok", "ceiling_ratio": None}
    (level,) = case_figures(case((), metrics=metrics)).levels
    assert (level.ratio, level.remark) == (0.99, "ok")


def test_simulated_ranks_have_no_samples() -> None:
    figures = case_figures(case((rank(0, operation("storage", "read", 1), is_simulated=True),)))
    assert figures.was_simulated
    assert figures.distributions == ()
    assert figures.ranks == ()
    assert figures.samples == {}


@pytest.mark.parametrize("buckets", ["5376:1", "1:x", "-1:2", "1" * 30 + ":1"])
def test_histogram_with_impossible_buckets_is_refused(buckets: str) -> None:
    broken = operation("storage", "read", 1)
    broken["device"]["buckets"] = buckets
    with pytest.raises(InvalidInputError, match="buckets"):
        case_figures(case((rank(0, broken),)))
