from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.gate.baseline import Baseline, split_for_selftest
from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.github import github_annotations
from mlpstorage_bench.gate.rules import parse_rules
from mlpstorage_bench.gate.series import CaseSeries, RunSeries
from mlpstorage_bench.gate.verdicts import GateResult, MetricVerdict, judge_run
from mlpstorage_bench.kvcache.results.metrics.latencies import Latencies
from mlpstorage_bench.kvcache.results.metrics.traffic import Traffic
from mlpstorage_bench.report.gate_report import as_markdown, gate_lines

STEADY = [1.00, 1.01, 0.99, 1.005, 0.995, 1.002, 0.998, 1.01, 0.99, 1.0]


def run(run_id: str, **metrics: Sequence[float]) -> RunSeries:
    length = max(len(values) for values in metrics.values())
    trials = tuple(
        {name: values[number] for name, values in metrics.items() if number < len(values)}
        for number in range(length)
    )
    case = CaseSeries("w", {"parameters": {"duration": 1}}, trials)
    return RunSeries(run_id, "2026-11-24T10:00:00+00:00", "kv_cache", "s", {}, {"1": case})


def judged(
    candidate: RunSeries, *lines: str, baseline: Baseline | None = None
) -> dict[str, MetricVerdict]:
    runs = tuple(run(f"run{n}", read_gib_s=[level]) for n, level in enumerate(STEADY))
    known = (Traffic.read_gib_s, Latencies.read_p95_ms)
    off = "read_p95_ms: off"
    rules = parse_rules(known, [("rule", line) for line in (off, *lines)])
    verdicts = judge_run(candidate, {"1": baseline or Baseline(runs)}, rules)
    return {one.metric: one for one in verdicts}


def test_unchanged_run_passes_and_names_its_baseline_runs() -> None:
    (one,) = judged(run("new", read_gib_s=[1.0, 1.005, 0.996])).values()
    assert one.verdict is Verdict.PASSED
    assert one.baseline_runs == tuple(f"run{n}" for n in range(10))
    assert (one.value, one.trials) == (1.0, 3)


def test_large_loss_is_regressed_and_large_gain_is_improved() -> None:
    assert (
        judged(run("new", read_gib_s=[0.6, 0.61, 0.6]))["read_gib_s"].verdict is Verdict.REGRESSED
    )
    assert judged(run("new", read_gib_s=[1.6, 1.61, 1.6]))["read_gib_s"].verdict is Verdict.IMPROVED


def test_missed_limit_is_regressed_with_any_baseline() -> None:
    (one,) = judged(run("new", read_gib_s=[1.0, 1.0, 1.0]), "read_gib_s: >= 2 GiB/s").values()
    assert (one.verdict, one.reason) == (
        Verdict.REGRESSED,
        "median 1 GiB/s misses the limit ≥ 2 GiB/s",
    )


def test_limit_is_judged_without_a_baseline() -> None:
    none = Baseline((), "no earlier run")
    verdicts = judged(run("new", read_gib_s=[3.0]), "read_gib_s: >= 2 GiB/s", baseline=none)
    assert verdicts["read_gib_s"].verdict is Verdict.PASSED
    assert judged(run("new", read_gib_s=[3.0]), baseline=none) == {}


def test_metric_of_baseline_runs_that_this_run_lacks_is_undecided() -> None:
    (one,) = judged(run("new", write_gib_s=[1.0])).values()
    assert (one.verdict, one.reason) == (Verdict.UNDECIDED, "no trial of this run has this metric")


def test_metric_that_no_run_has_gets_no_verdict() -> None:
    assert set(judged(run("new", read_gib_s=[1.0] * 3), "read_p95_ms: +20%")) == {"read_gib_s"}


def test_selftest_assigns_trials_to_halves_alternately() -> None:
    candidate, baselines = split_for_selftest(run("aa", read_gib_s=[1.0, 2.0, 3.0, 4.0]))
    assert candidate.cases["1"].values("read_gib_s") == [2.0, 4.0]
    assert [r.cases["1"].values("read_gib_s") for r in baselines["1"].runs] == [[1.0], [3.0]]


def result() -> GateResult:
    verdicts = tuple(judged(run("new", read_gib_s=[0.5, 0.51, 0.5])).values())
    return GateResult("new", "the last 10 comparable runs", verdicts, {"2": "no earlier run"})


def test_github_annotates_regressed_metrics_and_cases_not_compared() -> None:
    assert github_annotations(result(), {}) == []
    regressed, refused = github_annotations(result(), {"GITHUB_ACTIONS": "true"})
    assert regressed.startswith("::error title=1%3A read_gib_s regressed::50.0%25 worse")
    assert refused == "::error title=2%3A not compared::no earlier run"


def test_report_has_effect_verdict_and_cases_not_compared() -> None:
    text = as_markdown(result())
    for word in ("-50.0%", "regressed", "-10 %", "not compared: 2: no earlier run"):
        assert word in text
    assert gate_lines(result())[-1] == (
        "gate: 1 regressed, 1 not compared (against the last 10 comparable runs)"
    )


def test_differences_of_two_runs_name_fields_and_values() -> None:
    one = run("a", read_gib_s=[1.0])
    other = RunSeries(
        "b",
        one.started,
        "kv_cache",
        "t",
        {"hosts": [{"memory_gib": 32}]},
        {"1": CaseSeries("v", {"parameters": {"duration": 2, "rate": 5.0}}, ())},
    )
    mine = RunSeries("a", one.started, "kv_cache", "s", {"hosts": [{"memory_gib": 24}]}, one.cases)
    assert mine.differences(mine, "1") == []
    assert mine.differences(other, "1") == [
        "workload.parameters.duration: 1 here, 2 there",
        "workload.parameters.rate: nothing here, 5.0 there",
        "system.hosts[0].memory_gib: 24 here, 32 there",
    ]
