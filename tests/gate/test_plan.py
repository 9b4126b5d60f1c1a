"""Plan of looks, from the baseline and the planned numbers of trials."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpstorage_bench.gate.decision import (
    Comparison,
    Criterion,
    Verdict,
    decide,
    judge,
    may_be_decided_later,
)
from mlpstorage_bench.gate.evidence import Levels
from mlpstorage_bench.gate.independence import von_neumann_ratio
from mlpstorage_bench.gate.looks import Looks
from mlpstorage_bench.gate.plan import LookPlan, typical_trials
from tests.gate.samples import HIGHER_IS_BETTER as CRITERION
from tests.gate.samples import NOISY, series

STEADY = [[100 + value / 10] for value in (0, 3, -2, 1, -1, 2, 0, -3, 1, -1)]
SLOW_RUNS = [[value] * 5 for value in (100.0, 99.0, 140.0, 60.0, 139.0, 142.0, 141.0, 70.0)]

baselines = st.sampled_from([STEADY, NOISY, SLOW_RUNS]) | series
many_trials = st.lists(
    st.floats(1, 1000) | st.sampled_from([195.0, 165.0, 164.0, 97.0, 60.0, 0.0]),
    min_size=40,
    max_size=40,
)


def plan(baseline: list[list[float]], per_look: int, looks: int = 4) -> LookPlan:
    run = Comparison(baseline, [1.0] * per_look, CRITERION)
    return LookPlan(run, Looks(1, looks, per_look))


@pytest.mark.parametrize(
    ("baseline", "per_look", "looks"),
    [
        (NOISY, 3, (2, 3, 4)),
        (NOISY, 10, (1, 2, 3, 4)),
        (NOISY, 2, (3, 4)),
        (SLOW_RUNS, 5, (1,)),
        (NOISY, 1, ()),
        (NOISY[:7], 3, ()),
    ],
)
def test_looks_share_the_rate_of_the_precedence_test_if_later_ones_need_fewer_runs(
    baseline: list[list[float]], per_look: int, looks: tuple[int, ...]
) -> None:
    assert plan(baseline, per_look).precedence == looks


def test_runs_at_levels_of_their_own_give_the_first_look_the_whole_rate() -> None:
    """More trials of one run tell nothing new, so further looks would only take their share."""
    assert plan(SLOW_RUNS, 5).levels(1) == Levels(0.01, 0.01)


@pytest.mark.slow
@given(baselines, st.integers(1, 10), st.integers(1, 6))
@settings(max_examples=50, deadline=None)
def test_precedence_test_spends_at_most_the_rate_and_the_gap_test_has_it_at_each_look(
    baseline: list[list[float]], per_look: int, looks: int
) -> None:
    planned = plan(baseline, per_look, looks)
    levels = [planned.levels(look) for look in range(1, looks + 1)]
    assert sum(level.precedence for level in levels) in (pytest.approx(0.01), 0)
    assert {level.gap for level in levels} == {0.01}


@pytest.mark.slow
@given(baselines, many_trials, st.integers(1, 10))
@settings(max_examples=50, deadline=None)
def test_plan_is_independent_of_the_judged_run(
    baseline: list[list[float]], own: list[float], per_look: int
) -> None:
    looks = Looks(1, 4, per_look)
    planned = LookPlan(Comparison(baseline, own[:per_look], CRITERION), looks)
    assert planned.precedence == plan(baseline, per_look).precedence


@pytest.mark.slow
@given(baselines, many_trials, st.integers(1, 10))
@settings(max_examples=150, deadline=None)
def test_retry_never_stops_undecided_where_one_look_decides(
    baseline: list[list[float]], own: list[float], per_look: int
) -> None:
    comparison = Comparison(baseline, own[:per_look], CRITERION)
    by_one_look = decide(comparison)
    first = Looks(1, 4, per_look)
    verdict = decide(comparison, first)
    if by_one_look is not Verdict.UNDECIDED:
        assert verdict is by_one_look or may_be_decided_later(comparison, first, verdict)


@pytest.mark.slow
@given(baselines, many_trials, st.integers(1, 10), st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_change_that_a_look_has_shown_stands(
    baseline: list[list[float]], own: list[float], per_look: int, look: int
) -> None:
    looks = [Looks(number, 4, per_look) for number in (look, look + 1)]
    now, later = (
        decide(Comparison(baseline, own[: one.current * per_look], CRITERION), one) for one in looks
    )
    if now in (Verdict.REGRESSED, Verdict.IMPROVED):
        assert later is now


def test_large_loss_and_a_noisy_baseline_are_decided_at_the_first_look() -> None:
    """Requests 19 % fewer, p95 3.2 times as long: one look finds it, and so does the first."""
    requests = [[value] for value in (50.0, 51.2, 49.1, 50.4, 49.7, 50.9, 49.5, 50.2, 50.1, 49.9)]
    p95 = [[value] for value in (90.0, 131.0, 102.0, 88.0, 125.0, 97.0, 110.0, 93.0, 119.0, 101.0)]
    longer = Criterion(higher_is_better=False, smallest_effect=0.2)
    for looks in (Looks(), Looks(1, 4, 3)):
        fewer = judge(requests, [40.4, 40.6, 40.1], CRITERION, looks)
        slower = judge(p95, [320.0, 331.0, 318.0], longer, looks)
        assert (fewer.verdict, slower.verdict) == (Verdict.REGRESSED, Verdict.REGRESSED)


def test_run_that_no_number_of_trials_decides_is_not_retried() -> None:
    wide = [[value] for value in (60.0, 100.0, 80.0, 120.0, 70.0, 110.0, 90.0, 130.0, 75.0, 105.0)]
    result = judge(wide, [92.0, 95.0, 88.0], CRITERION, Looks(1, 4, 3))
    assert (result.verdict, result.may_be_decided_later) == (Verdict.UNDECIDED, False)
    assert result.more_trials is None


def test_undecided_run_on_a_steady_system_is_retried() -> None:
    """Its trials are far from the baseline, but a typical run of more trials would be decided."""
    result = judge(STEADY, [97.0, 93.0, 99.9], CRITERION, Looks(1, 4, 3))
    assert (result.verdict, result.may_be_decided_later) == (Verdict.UNDECIDED, True)


def test_typical_run_with_a_median_of_zero_is_not_decided() -> None:
    """One run of many trials is zero, so most values are, though the median of runs is not."""
    baseline = [[0.0] * 9, [1.0], [1.1], [1.0], [0.9]]
    result = judge(baseline, [1.0, 1.1, 0.9], CRITERION, Looks(1, 4, 3))
    assert (result.verdict, result.may_be_decided_later) == (Verdict.UNDECIDED, False)


@pytest.mark.slow
@given(baselines, st.integers(1, 30))
def test_typical_trials_have_the_range_of_the_baseline(
    baseline: list[list[float]], count: int
) -> None:
    trials = typical_trials(baseline, count)
    every = [value for run in baseline for value in run]
    assert len(trials) == count
    assert set(trials) <= set(every)


def test_typical_trials_show_no_serial_correlation() -> None:
    assert von_neumann_ratio(typical_trials(NOISY, 10)) > 2
