"""Grounds of a verdict: effect, interval, power and reason."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from mlpstorage_bench.gate.comparison import LOSS_STEP, MOST_LOSS, minimum_detectable_effect
from mlpstorage_bench.gate.decision import (
    Comparison,
    Criterion,
    Verdict,
    decide,
    judge,
)
from mlpstorage_bench.gate.evidence import Levels
from tests.gate.samples import (
    HIGHER_IS_BETTER,
    LOWER_IS_BETTER,
    NOISY,
    QUIET,
    criterions,
    series,
    trials,
)


def test_loss_beyond_the_spread_of_the_baseline_is_regressed() -> None:
    result = judge(QUIET, [95.0, 94.8, 95.2], HIGHER_IS_BETTER)
    assert result.verdict is Verdict.REGRESSED
    assert result.effect == pytest.approx(-0.05)
    assert result.interval == pytest.approx((-0.053, -0.047), abs=0.002)
    assert (result.baseline_median, result.candidate_median) == (100.0, 95.0)
    assert result.baseline_spread == pytest.approx(0.003)
    assert result.p_value < 0.001
    assert result.more_trials is None
    assert result.reason == "5.0% worse than the baseline, beyond its variation"


def test_passed_metric_has_a_detectable_effect_below_the_smallest_relevant_one() -> None:
    result = judge(QUIET, [100.1, 99.8, 100.0], HIGHER_IS_BETTER)
    assert result.verdict is Verdict.PASSED
    assert result.detectable_effect is not None
    assert result.detectable_effect <= 0.05


def test_noisy_metric_is_undecided_and_states_the_detectable_loss() -> None:
    result = judge(
        NOISY,
        [195.0, 133.0, 195.0, 65.0, 195.0, 170.0, 104.0, 195.0, 90.0, 195.0],
        HIGHER_IS_BETTER,
    )
    assert result.verdict is Verdict.UNDECIDED
    assert result.detectable_effect is not None
    assert 0.05 < result.detectable_effect < 0.6
    assert "the smallest detectable loss is" in result.reason


def test_verdict_changes_at_the_detectable_effect() -> None:
    own = [195.0, 133.0, 195.0, 65.0, 195.0, 170.0, 104.0, 195.0, 90.0, 195.0]
    result = judge(NOISY, own, HIGHER_IS_BETTER).detectable_effect
    assert result is not None
    comparison = Comparison(NOISY, own, HIGHER_IS_BETTER)
    assert decide(comparison.with_loss(result + 0.001)) is Verdict.REGRESSED
    assert decide(comparison.with_loss(result - 0.001)) is not Verdict.REGRESSED


def test_reason_states_the_number_of_trials_that_would_decide() -> None:
    steady = [
        [value] for value in (195.0, 52.0, 195.0, 195.0, 194.0, 195.0, 65.0, 195.0, 195.0, 195.0)
    ]
    own = [195.0, 194.0, 195.0]
    result = judge(steady, own, HIGHER_IS_BETTER)
    assert result.verdict is Verdict.UNDECIDED
    assert result.more_trials is not None
    assert f"{result.more_trials} more trials would make a loss of 5.0% detectable" in result.reason
    lowered = Comparison(steady, own, HIGHER_IS_BETTER).with_loss(0.05)
    assert decide(lowered.with_trials(3 + result.more_trials)) is Verdict.REGRESSED
    assert decide(lowered.with_trials(2 + result.more_trials)) is not Verdict.REGRESSED


def test_reason_states_no_number_of_trials_if_runs_differ_too_much() -> None:
    runs = [[value] * 3 for value in (100.0, 80.0, 110.0, 95.0, 70.0, 105.0, 90.0, 85.0)]
    result = judge(runs, [92.0, 92.1, 91.9], HIGHER_IS_BETTER)
    assert (result.verdict, result.more_trials) == (Verdict.UNDECIDED, None)
    assert result.reason.endswith("100 more trials would not make a loss of 5.0% detectable")


@pytest.mark.parametrize("count", [1, 2, 4])
def test_fewer_than_five_baseline_runs_are_undecided_and_state_why(count: int) -> None:
    result = judge(QUIET[:count], [50.0] * 5, HIGHER_IS_BETTER)
    assert result.verdict is Verdict.UNDECIDED
    runs = "1 baseline run" if count == 1 else f"{count} baseline runs"
    assert result.reason == f"only {runs}; run-to-run variation needs at least 5"


def test_one_trial_is_undecided_and_states_why() -> None:
    result = judge(QUIET, [50.0], HIGHER_IS_BETTER)
    assert result.verdict is Verdict.UNDECIDED
    assert result.reason == "only 1 trial; a decision needs at least 3"


@pytest.mark.parametrize(
    ("baseline", "reason"),
    [
        ([], "no baseline run has this metric"),
        ([[0.0]] * 10, "the baseline's median is zero or less"),
    ],
)
def test_baseline_without_positive_median_is_undecided(
    baseline: list[list[float]], reason: str
) -> None:
    result = judge(baseline, [1.0, 2.0, 3.0], HIGHER_IS_BETTER)
    assert result.verdict is Verdict.UNDECIDED
    assert (result.effect, result.interval, result.detectable_effect) == (None, None, None)
    assert result.reason.startswith(reason)


@pytest.mark.slow
@settings(deadline=None)
@given(series, trials, criterions)
def test_every_loss_from_the_detectable_one_is_regressed(
    baseline: list[list[float]], candidate: list[float], criterion: Criterion
) -> None:
    comparison = Comparison(baseline, candidate, criterion)
    levels = Levels(criterion.false_alarm_rate, criterion.false_alarm_rate)
    detectable = minimum_detectable_effect(comparison, levels)
    if detectable is not None:
        for step in range(int(detectable / LOSS_STEP) + 2, 19):
            loss = MOST_LOSS - LOSS_STEP * (19 - step)
            if loss > detectable:
                assert decide(comparison.with_loss(loss)) is Verdict.REGRESSED


HIGH_AND_LOW = [[value] for value in (195.0, 60.0, 195.0, 60.0, 194.0, 195.0, 60.0, 195.0)]


def test_loss_of_the_highest_values_is_regressed_by_their_change() -> None:
    """The median of the baseline is anywhere between its high and its low values."""
    own = [165.0, 70.0, 165.0, 165.5, 64.0, 165.0, 165.0, 165.0]
    result = judge(HIGH_AND_LOW, own, HIGHER_IS_BETTER)
    assert result.verdict is Verdict.REGRESSED
    assert result.effect == pytest.approx(-(1 - 165.5 / 195.0))
    assert result.interval is None
    assert result.reason == "all 8 trials are worse than the best baseline runs, by 15.1%"


def test_change_of_the_highest_latencies_is_improved() -> None:
    own = [value * 1.2 for value in (60.0, 195.0, 60.0, 60.5, 195.0, 60.0, 60.0, 60.0)]
    baseline = [[255 - value for value in run] for run in HIGH_AND_LOW]
    assert judge(baseline, own, LOWER_IS_BETTER).verdict is Verdict.REGRESSED
    assert judge(baseline, own, HIGHER_IS_BETTER).verdict is Verdict.IMPROVED
