"""Limits that a disturbed run misses: the disturbance may explain a part of the way, or all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mlpstorage_bench.checkpointing.benchmark import CHECKPOINTING
from mlpstorage_bench.gate.baseline import Baseline
from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.disturbances import usual_conditions
from mlpstorage_bench.gate.result import GateResult
from mlpstorage_bench.gate.rules import RULE_OPTION, parse_rules
from mlpstorage_bench.gate.series import CaseSeries, RunSeries, TrialSeries
from mlpstorage_bench.gate.verdicts import judge_run
from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.report.gate_report import gate_lines

QUIET = TrialConditions(moved_gib_s=1.0, limit="storage", others_gib_s=0.0, denied_share=0.0)
BESIDE_A_BACKUP = replace(QUIET, others_gib_s=0.1)
"""Its traffic may explain a loss of 30 %."""
BY_LOAD = replace(QUIET, limit="load")


def run(conditions: TrialConditions, **metrics: float) -> RunSeries:
    case = CaseSeries("w", {}, (TrialSeries(metrics, conditions),) * 3)
    return RunSeries("new", "2026-11-24T10:00:00+00:00", "checkpointing", "s", {}, {"write": case})


def judged(own: RunSeries, *lines: str, earlier: Sequence[RunSeries] = ()) -> GateResult:
    usual = usual_conditions([[QUIET] * 3] * 5)
    baseline = Baseline(tuple(earlier), can_grow=True, accepts_candidate=True, usual=usual)
    rules = parse_rules(CHECKPOINTING.metrics, [(RULE_OPTION, line) for line in lines])
    found = judge_run(own, {"write": baseline}, rules)
    return GateResult("new", "last", found.metrics, {}, disturbances=found.disturbances)


def verdict_of(result: GateResult, metric: str) -> Verdict:
    (one,) = [one for one in result.verdicts if one.metric == metric]
    return one.verdict


@pytest.mark.parametrize(
    ("metric", "value", "limit", "verdict"),
    [
        ("write_gib_s", 0.8, ">= 1 GiB/s", Verdict.DISTURBED),
        ("write_gib_s", 0.8, ">= 8 GiB/s", Verdict.REGRESSED),
        ("standstill_s", 0.06, "<= 0.05 s", Verdict.DISTURBED),
        ("standstill_s", 0.5, "<= 0.05 s", Verdict.REGRESSED),
        ("corrupt_reads", 1.0, "<= 0", Verdict.REGRESSED),
    ],
)
def test_limit_is_missed_by_the_storage_where_the_disturbance_explains_less(
    metric: str, value: float, limit: str, verdict: Verdict
) -> None:
    result = judged(run(BESIDE_A_BACKUP, **{metric: value}), f"{metric}: {limit}")
    assert verdict_of(result, metric) is verdict
    if verdict is Verdict.REGRESSED:
        assert "more than a disturbance explains (other programs moved" in gate_lines(result)[0]


@pytest.mark.parametrize(
    ("metric", "value", "limit", "verdict"),
    [
        ("write_gib_s", 0.1, ">= 1 GiB/s", Verdict.DISTURBED),
        ("standstill_s", 0.5, "<= 0.05 s", Verdict.REGRESSED),
    ],
)
def test_load_that_now_limits_explains_a_missed_limit_of_a_rate_alone(
    metric: str, value: float, limit: str, verdict: Verdict
) -> None:
    assert verdict_of(judged(run(BY_LOAD, **{metric: value}), f"{metric}: {limit}"), metric) is (
        verdict
    )


def test_limit_that_undisturbed_runs_missed_too_is_missed_by_the_storage() -> None:
    earlier = [replace(run(QUIET, write_gib_s=0.8), run_id=f"night-{n}") for n in range(6)]
    own = run(BESIDE_A_BACKUP, write_gib_s=0.8)
    result = judged(own, "write_gib_s: >= 1 GiB/s", earlier=earlier)
    assert verdict_of(result, "write_gib_s") is Verdict.REGRESSED


def test_missed_limit_alone_needs_no_second_run() -> None:
    result = judged(run(QUIET, write_gib_s=0.8), "write_gib_s: >= 1 GiB/s")
    assert result.next_step.startswith("find out what keeps this storage from the limit")
    lost = judged(
        run(QUIET, write_gib_s=0.5),
        earlier=[replace(run(QUIET, write_gib_s=1.0), run_id=f"night-{n}") for n in range(6)],
    )
    assert lost.next_step == "run it again: a loss in both runs is no chance"


def test_case_that_was_judged_in_part_names_what_was_not() -> None:
    own = run(BESIDE_A_BACKUP, write_gib_s=0.8, standstill_s=0.5)
    result = judged(own, "write_gib_s: >= 1 GiB/s", "standstill_s: <= 0.05 s")
    (line,) = [line for line in gate_lines(result) if line.startswith("warning: ")]
    assert line == (
        "warning: case write was judged only in part (not write_gib_s), as it was disturbed in "
        "this run. That is not why the session fails; the third disturbed run in a row fails"
    )


def test_disturbed_run_says_what_a_nightly_job_can_do() -> None:
    result = judged(run(BESIDE_A_BACKUP, write_gib_s=0.8))
    assert result.next_step.startswith("if it comes back, end what disturbed the run, or run at")
