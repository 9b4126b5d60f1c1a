"""Cases with fewer trials than a decision needs: named in the first night, and retried."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import replace

import pytest

from mlpstorage_bench.checkpointing.benchmark import CHECKPOINTING
from mlpstorage_bench.gate.baseline import Baseline
from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.github import github_annotations
from mlpstorage_bench.gate.looks import Retries
from mlpstorage_bench.gate.result import FailureRules, GateResult
from mlpstorage_bench.gate.rules import parse_rules
from mlpstorage_bench.gate.series import CaseSeries, RunSeries, TrialSeries
from mlpstorage_bench.gate.verdicts import judge_run
from mlpstorage_bench.report.gate_report import gate_lines

NOISY = (1.0, 3.0, 1.0, 3.0, 1.0, 3.0)
"""Nights between which no number of trials shows a loss of 10 %."""
TOO_FEW = "only 2 trials; a decision needs at least 3"


def run(run_id: str, values: Sequence[float]) -> RunSeries:
    trials = tuple(TrialSeries({"write_gib_s": value}) for value in values)
    case = CaseSeries("w", {}, trials)
    return RunSeries(run_id, "2026-11-24T10:00:00+00:00", "checkpointing", "s", {}, {"write": case})


def judged(
    values: Sequence[float], nights: Sequence[float] = (), retries: Retries | None = None
) -> GateResult:
    earlier = tuple(run(f"night-{n}", [level, level]) for n, level in enumerate(nights))
    baseline = Baseline(earlier, can_grow=True, accepts_candidate=True)
    rules = parse_rules(CHECKPOINTING.metrics, ())
    found = judge_run(run("new", values), {"write": baseline}, rules, retries=retries)
    return GateResult("new", "last", found.metrics, {}, looks=1 if retries is None else 4)


def test_first_night_says_that_two_trials_are_never_compared() -> None:
    result = judged([1.0, 1.0])
    assert gate_lines(result) == [
        "warning: case write has too few trials: however many runs there are, none is compared",
        f"collecting: 1 of 5 baseline runs, including this run; {TOO_FEW}: case write",
        "gate: 1 collecting (against last)",
        f"next: {result.next_step}",
    ]
    assert result.next_step == (
        "use --mlps-trials=3 or more, or --mlps-gate-undecided=retry, which adds trials: a case "
        "with fewer is never compared"
    )
    assert result.headline == "gate passed with a warning: 1 collecting"
    (line,) = github_annotations(result, {"GITHUB_ACTIONS": "true"})
    assert line.startswith("::warning title=write%3A write_gib_s collecting::")
    assert line.endswith(TOO_FEW)


@pytest.mark.parametrize(
    ("values", "retries", "is_short"),
    [
        ([1.0] * 3, None, False),
        ([1.0] * 2, Retries(4, {"write": 2}), False),
        ([1.0], Retries(2, {"write": 1}), True),
        ([1.0] * 2, Retries(4, {"read": 2}), True),
    ],
)
def test_trials_of_later_looks_count(
    values: list[float],
    retries: Retries | None,
    is_short: bool,  # noqa: FBT001 - a case of the test
) -> None:
    result = judged(values, retries=retries)
    assert (result.short_cases == ["write"], result.has_warning) == (is_short, is_short)
    assert ("--mlps-trials=3" in result.next_step) == is_short


def test_sixth_night_of_two_trials_asks_for_more_however_noisy_it_is() -> None:
    result = judged([1.0, 1.0], NOISY)
    (one,) = result.verdicts
    assert (one.verdict, one.reason) == (Verdict.UNDECIDED, TOO_FEW)
    assert result.next_step.startswith("use --mlps-trials=3 or more")


def test_two_trials_are_retried_until_there_are_enough() -> None:
    retries = Retries(4, {"write": 2})
    assert judged([1.0, 1.0], NOISY, retries).cases_to_retry == ["write"]
    enough = judged([1.0] * 4, NOISY, retries)
    assert enough.cases_to_retry == []
    assert enough.next_step.startswith("no number of trials can decide this")


def test_retries_that_never_reach_enough_trials_are_not_begun() -> None:
    assert judged([1.0], NOISY, Retries(2, {"write": 1})).cases_to_retry == []


WRITES = "writes"
"""A case of three trials, beside `write`, which has one."""


def night(number: int, baseline: int) -> GateResult:
    """Return the verdicts of a night on a case of three trials and one of a single trial."""

    def both(run_id: str) -> RunSeries:
        one, three = run(run_id, [1.0]), run(run_id, [1.0, 1.001, 0.999])
        return replace(one, cases={"write": one.cases["write"], WRITES: three.cases["write"]})

    nights = tuple(both(f"night-{n}") for n in range(baseline))
    earlier = Baseline(nights, can_grow=True, accepts_candidate=True)
    rules = parse_rules(CHECKPOINTING.metrics, ())
    found = judge_run(both(f"night-{number}"), {"write": earlier, WRITES: earlier}, rules)
    return GateResult("new", "last", found.metrics, {})


def test_too_few_trials_of_some_cases_are_news_in_the_first_night_alone() -> None:
    first, second, compared = night(1, 0), night(2, 1), night(7, 6)
    warning = "warning: case write has too few trials: *"
    assert [len(fnmatch.filter(gate_lines(one), warning)) for one in (first, second)] == [1, 0]
    assert first.headline == "gate passed with a warning: 2 collecting"
    assert first.next_step.startswith("use --mlps-trials=3")
    assert second.headline == "gate passed: 2 collecting"
    assert second.next_step == "run it again: after 3 more runs, every run is compared"
    assert compared.headline == "gate passed: 1 passed, 1 undecided"
    assert compared.next_step == ""
    assert not fnmatch.filter(gate_lines(compared), "warning: *")
    (notice,) = github_annotations(compared, {"GITHUB_ACTIONS": "true"})
    assert notice.startswith("::notice title=write%3A write_gib_s undecided::only 1 trial")


def test_too_few_trials_stay_news_where_they_fail_or_nothing_is_compared() -> None:
    failing = replace(night(7, 6), failure_rules=FailureRules(undecided=True))
    assert failing.next_step.startswith("use --mlps-trials=3")
    alone = judged([1.0, 1.0], NOISY)
    assert alone.headline == "gate passed with a warning: 1 undecided"
    assert alone.short_cases == ["write"]


def test_next_step_of_a_closed_run_is_none_that_its_mode_refuses() -> None:
    for result in (judged([1.0]), judged([1.0], NOISY)):
        closed = replace(result, has_fixed_trials=True)
        assert closed.next_step.startswith("mode closed fixes the number of trials: compare runs")
