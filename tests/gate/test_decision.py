"""Verdict on a metric, with effect, interval, power and reason."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpstorage_bench.gate.decision import (
    Comparison,
    Criterion,
    Judgement,
    Verdict,
    decide,
    judge,
    judge_all,
)

HIGHER_IS_BETTER = Criterion(higher_is_better=True, smallest_effect=0.05)
LOWER_IS_BETTER = Criterion(higher_is_better=False, smallest_effect=0.05)
QUIET = [[value] for value in (100.0, 100.3, 99.8, 100.1, 99.9, 100.2, 100.0, 99.7, 100.1, 99.9)]
NOISY = [[value] for value in (195.0, 52.0, 195.0, 133.0, 195.0, 195.0, 65.0, 195.0, 190.0, 104.0)]

values = st.floats(1, 1000)
series = st.sampled_from([QUIET, NOISY]) | st.lists(
    st.lists(values, min_size=1, max_size=3), min_size=1, max_size=12
)
trials = st.lists(values, min_size=1, max_size=12)
criterions = st.sampled_from([HIGHER_IS_BETTER, LOWER_IS_BETTER])


def scaled(runs: list[list[float]], factor: float) -> list[list[float]]:
    return [[value * factor for value in run] for run in runs]


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


def test_decrease_of_latency_is_improved() -> None:
    result = judge(QUIET, [95.0, 94.8, 95.2], LOWER_IS_BETTER)
    assert result.verdict is Verdict.IMPROVED
    assert result.effect == pytest.approx(0.05)


def test_passed_metric_has_a_detectable_effect_below_the_smallest_relevant_one() -> None:
    result = judge(QUIET, [100.1, 99.8, 100.0], HIGHER_IS_BETTER)
    assert result.verdict is Verdict.PASSED
    assert result.detectable_effect is not None
    assert result.detectable_effect <= 0.05


def test_loss_below_the_smallest_relevant_effect_passes() -> None:
    assert judge(QUIET, [97.1, 97.0, 97.2], HIGHER_IS_BETTER).verdict is Verdict.PASSED


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


def test_five_quiet_baseline_runs_show_a_large_loss() -> None:
    assert judge(QUIET[:5], [90.0, 90.1, 89.9], HIGHER_IS_BETTER).verdict is Verdict.REGRESSED


def test_one_trial_is_undecided_and_states_why() -> None:
    result = judge(QUIET, [50.0], HIGHER_IS_BETTER)
    assert result.verdict is Verdict.UNDECIDED
    assert result.reason == "only 1 trial; a decision needs at least 3: raise --mlps-trials"


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


@pytest.mark.parametrize("candidate", [[], [1.0, float("nan")], [float("inf")]])
def test_missing_or_non_finite_trials_are_refused(candidate: list[float]) -> None:
    with pytest.raises(ValueError, match="trials of a run: got"):
        judge(QUIET, candidate, HIGHER_IS_BETTER)


@pytest.mark.parametrize("effect", [0.0, 1.0, -0.1])
def test_smallest_effect_outside_zero_to_one_is_refused(effect: float) -> None:
    with pytest.raises(ValueError, match="smallest_effect: got"):
        Criterion(higher_is_better=True, smallest_effect=effect)


def test_each_metric_of_a_family_needs_more_evidence() -> None:
    own = [
        value / 2 for value in (195.0, 133.0, 195.0, 65.0, 195.0, 170.0, 104.0, 195.0, 90.0, 195.0)
    ]
    alone = Comparison(NOISY, own, HIGHER_IS_BETTER)
    others = [Comparison(NOISY, [row[0] for row in NOISY], HIGHER_IS_BETTER)] * 11
    few = Comparison(NOISY, own[:7], HIGHER_IS_BETTER)
    assert judge_all([few])[0].verdict is Verdict.REGRESSED
    assert judge_all([few, *others])[0].verdict is Verdict.UNDECIDED
    assert judge_all([alone, *others])[0].verdict is Verdict.REGRESSED


@settings(max_examples=40, deadline=None)
@given(series, trials, criterions)
def test_judgement_is_reproducible(
    baseline: list[list[float]], candidate: list[float], criterion: Criterion
) -> None:
    assert judge(baseline, candidate, criterion) == judge(baseline, candidate, criterion)


@settings(max_examples=60, deadline=None)
@given(series, trials, criterions, st.integers(-20, 20))
def test_judgement_is_independent_of_the_unit(
    baseline: list[list[float]], candidate: list[float], criterion: Criterion, power: int
) -> None:
    """Powers of two scale floating-point numbers exactly."""
    unit = 2.0**power

    def relative(result: Judgement) -> tuple[object, ...]:
        return (
            *astuple(result)[:3],
            result.baseline_spread,
            result.detectable_effect,
            result.more_trials,
        )

    result = judge(baseline, candidate, criterion)
    other = judge(scaled(baseline, unit), scaled([candidate], unit)[0], criterion)
    assert relative(other) == relative(result)
    assert other.candidate_median == result.candidate_median * unit


@settings(deadline=None)
@given(series, trials)
def test_reversed_direction_exchanges_regressed_and_improved(
    baseline: list[list[float]], candidate: list[float]
) -> None:
    more = decide(Comparison(baseline, candidate, HIGHER_IS_BETTER))
    less = decide(Comparison(baseline, candidate, LOWER_IS_BETTER))
    assert (more is Verdict.REGRESSED) == (less is Verdict.IMPROVED)
    assert (more is Verdict.IMPROVED) == (less is Verdict.REGRESSED)


@settings(deadline=None)
@given(series, trials, criterions, st.floats(0, 0.9))
def test_greater_loss_stays_regressed(
    baseline: list[list[float]], candidate: list[float], criterion: Criterion, loss: float
) -> None:
    comparison = Comparison(baseline, candidate, criterion)
    worse = comparison.scaled(1 - loss if criterion.higher_is_better else 1 / (1 - loss))
    before, after = decide(comparison), decide(worse)
    if before is Verdict.REGRESSED:
        assert after is Verdict.REGRESSED
    if after is Verdict.IMPROVED:
        assert before is Verdict.IMPROVED


@settings(deadline=None)
@given(series, trials, criterions)
def test_regression_at_a_stricter_rate_is_one_at_a_looser_rate(
    baseline: list[list[float]], candidate: list[float], criterion: Criterion
) -> None:
    strict = Criterion(
        criterion.higher_is_better, criterion.smallest_effect, false_alarm_rate=0.001
    )
    if decide(Comparison(baseline, candidate, strict)) is Verdict.REGRESSED:
        assert decide(Comparison(baseline, candidate, criterion)) is Verdict.REGRESSED


@settings(max_examples=60, deadline=None)
@given(series, trials, criterions)
def test_decide_returns_the_verdict_of_judge(
    baseline: list[list[float]], candidate: list[float], criterion: Criterion
) -> None:
    result = judge(baseline, candidate, criterion)
    assert decide(Comparison(baseline, candidate, criterion)) is result.verdict
    if result.interval is not None:
        assert result.interval[0] <= result.interval[1]
    if result.verdict is Verdict.REGRESSED:
        assert result.effect is not None
        assert result.effect <= -0.75 * criterion.smallest_effect
