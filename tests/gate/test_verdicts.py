from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mlpstorage_bench.gate.baseline import Baseline
from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.github import github_annotations
from mlpstorage_bench.gate.metric_verdict import MetricVerdict
from mlpstorage_bench.gate.result import FailureRules, GateResult
from mlpstorage_bench.gate.rules import parse_rules
from mlpstorage_bench.gate.selftest import split_for_selftest
from mlpstorage_bench.gate.series import CaseSeries, RunSeries, TrialSeries
from mlpstorage_bench.gate.verdicts import judge_run
from mlpstorage_bench.kvcache.results.metrics.latencies import Latencies
from mlpstorage_bench.kvcache.results.metrics.traffic import Traffic
from mlpstorage_bench.report.gate_report import as_markdown, gate_lines

STEADY = [1.00, 1.01, 0.99, 1.005, 0.995, 1.002, 0.998, 1.01, 0.99, 1.0]


def run(run_id: str, **metrics: Sequence[float]) -> RunSeries:
    length = max(len(values) for values in metrics.values())
    trials = tuple(
        TrialSeries(
            {name: values[number] for name, values in metrics.items() if number < len(values)}
        )
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
    judged = judge_run(candidate, {"1": baseline or Baseline(runs)}, rules)
    return {one.metric: one for one in judged.metrics}


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


def test_loss_of_the_best_values_is_stated_for_them() -> None:
    """The medians would say that bandwidth rose."""
    levels = [195.0, 60.0, 195.0, 61.0, 62.0, 195.0, 194.0, 63.0]
    baseline = Baseline(tuple(run(f"run{n}", read_gib_s=[one]) for n, one in enumerate(levels)))
    own = run("new", read_gib_s=[165.0, 70.0, 165.0, 165.5, 48.0, 165.0, 165.0, 165.0])
    (one,) = judged(own, baseline=baseline).values()
    assert one.verdict is Verdict.REGRESSED
    assert one.reason == (
        "at least 15 % less bandwidth than the best baseline runs, in all 8 trials"
    )


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
    reason = "no trial of this run has this metric, which comparable runs had"
    assert (one.verdict, one.reason) == (Verdict.UNDECIDED, reason)


def test_metric_that_no_run_has_gets_no_verdict() -> None:
    assert set(judged(run("new", read_gib_s=[1.0] * 3), "read_p95_ms: +20%")) == {"read_gib_s"}


def test_selftest_assigns_trials_to_halves_alternately() -> None:
    candidate, baselines = split_for_selftest(run("aa", read_gib_s=[1.0, 2.0, 3.0, 4.0]))
    assert candidate.cases["1"].values("read_gib_s") == [2.0, 4.0]
    assert [r.cases["1"].values("read_gib_s") for r in baselines["1"].runs] == [[1.0], [3.0]]


def result() -> GateResult:
    verdicts = tuple(judged(run("new", read_gib_s=[0.5, 0.51, 0.5])).values())
    return GateResult("new", "the last 10 comparable runs", verdicts, {"2": "no earlier run"})


IN_CI = {"GITHUB_ACTIONS": "true"}


def test_github_annotates_what_fails_as_an_error() -> None:
    assert github_annotations(result(), {}) == []
    regressed, refused = github_annotations(result(), IN_CI)
    assert regressed.startswith("::error title=1%3A read_gib_s regressed::50 %25 less bandwidth")
    assert refused == "::error title=2%3A not compared::no earlier run"


@pytest.mark.parametrize("verdict", [Verdict.UNDECIDED, Verdict.COLLECTING, Verdict.IMPROVED])
def test_github_annotates_what_passes_as_a_notice_and_the_same_as_an_error_if_it_fails(
    verdict: Verdict,
) -> None:
    (one,) = judged(run("new", read_gib_s=[1.0] * 3)).values()
    passing = GateResult("new", "last", (replace(one, verdict=verdict),), {})
    (line,) = github_annotations(passing, IN_CI)
    assert line.startswith("::notice ")
    assert passing.exit_status == 0
    strict = FailureRules(undecided=True, collecting=True, improved=True)
    failing = replace(passing, failure_rules=strict)
    (line,) = github_annotations(failing, IN_CI)
    assert line.startswith("::error ")
    assert failing.exit_status == (4 if verdict is Verdict.COLLECTING else 1)


def test_report_has_change_verdict_and_cases_not_compared() -> None:
    text = as_markdown(result())
    for word in (
        "50 % less bandwidth",
        "regressed",
        "-10 %",
        "not compared: case 2: no earlier run",
    ):
        assert word in text
    assert gate_lines(result())[-2:] == [
        "gate: 1 regressed, 1 not compared (against the last 10 comparable runs)",
        "next: run it again: a loss in both runs is no chance",
    ]


def test_headline_names_what_failed() -> None:
    assert result().headline == (
        "gate FAILED: regressed: 1 read_gib_s 50 % less bandwidth; not compared: case 2"
    )
    passed = GateResult("new", "last", tuple(judged(run("new", read_gib_s=[1.0] * 3)).values()), {})
    assert passed.headline == "gate passed: 1 passed"


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
