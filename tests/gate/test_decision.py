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
from mlpstorage_bench.gate.looks import Looks
from tests.gate.samples import (
    HIGHER_IS_BETTER,
    LOWER_IS_BETTER,
    NOISY,
    QUIET,
    criterions,
    series,
    trials,
)


def scaled(runs: list[list[float]], factor: float) -> list[list[float]]:
    return [[value * factor for value in run] for run in runs]


def test_decrease_of_latency_is_improved() -> None:
    result = judge(QUIET, [95.0, 94.8, 95.2], LOWER_IS_BETTER)
    assert result.verdict is Verdict.IMPROVED
    assert result.effect == pytest.approx(0.05)


def test_loss_below_the_smallest_relevant_effect_passes() -> None:
    assert judge(QUIET, [97.1, 97.0, 97.2], HIGHER_IS_BETTER).verdict is Verdict.PASSED


def test_five_quiet_baseline_runs_show_a_large_loss() -> None:
    assert judge(QUIET[:5], [90.0, 90.1, 89.9], HIGHER_IS_BETTER).verdict is Verdict.REGRESSED


@pytest.mark.parametrize(
    "medians",
    [
        [1.05, 0.94, 1.25, 1.12, 1.0],
        [1.05, 0.94, 1.49, 1.12, 1.3, 0.99, 1.2, 1.07],
    ],
)
def test_loss_of_nine_tenths_is_found_on_storage_that_varies(medians: list[float]) -> None:
    baseline = [[0.98 * value, value, 1.03 * value] for value in medians]
    result = judge(baseline, [0.095, 0.094, 0.09], HIGHER_IS_BETTER)
    assert result.verdict is Verdict.REGRESSED
    assert judge(baseline, [0.8, 0.78, 0.82], HIGHER_IS_BETTER).verdict is Verdict.UNDECIDED


@pytest.mark.parametrize("loss_of_all", [[0.0, 0.0, 0.0], [0.0, 0.0, 1e-4], [1e-9, 1e-9, 1e-9]])
@pytest.mark.parametrize("criterion", [HIGHER_IS_BETTER, LOWER_IS_BETTER])
def test_change_to_nothing_is_found_on_storage_that_varies(
    loss_of_all: list[float], criterion: Criterion
) -> None:
    baseline = [[value] for value in (1.05, 0.94, 1.49, 1.12, 1.3)]
    least = judge(baseline, [0.04, 0.04, 0.04], criterion)
    result = judge(baseline, loss_of_all, criterion)
    assert result.verdict is least.verdict
    assert result.verdict in {Verdict.REGRESSED, Verdict.IMPROVED}
    assert result.p_value < least.p_value


def test_trial_near_the_baseline_refutes_a_gap_of_logarithms() -> None:
    """Halfway to a loss of 99 % by logarithms is a loss of 90 %."""
    baseline = [[value] for value in (1.05, 0.94, 1.49, 1.12, 1.3)]
    nearer, farther = [0.0094, 0.0094, 0.4], [0.0094, 0.0094, 0.09]
    assert judge(baseline, nearer, HIGHER_IS_BETTER).verdict is Verdict.UNDECIDED
    assert judge(baseline, farther, HIGHER_IS_BETTER).verdict is Verdict.REGRESSED


@pytest.mark.parametrize(("planned", "is_by_best"), [(1, True), (4, False)])
def test_reason_names_the_test_that_decided(planned: int, *, is_by_best: bool) -> None:
    """At the first of four looks, the precedence test has nearly nothing of the error rate."""
    baseline = [[100 + value / 2] for value in (0, 3, 1, 8, 5, 9, 2, 7, 4, 6)]
    trials = [90.0, 91.0, 90.5, 89.7, 90.2]
    result = judge(baseline, trials, HIGHER_IS_BETTER, Looks(1, planned, 5))
    assert result.verdict is Verdict.REGRESSED
    assert (result.best_ratio is not None) == is_by_best
    assert ("best baseline runs" in result.reason) == is_by_best


@pytest.mark.parametrize("candidate", [[], [1.0, float("nan")], [float("inf")]])
def test_missing_or_non_finite_trials_are_refused(candidate: list[float]) -> None:
    with pytest.raises(ValueError, match="trials of a run: got"):
        judge(QUIET, candidate, HIGHER_IS_BETTER)


@pytest.mark.parametrize("effect", [0.0, 1.0, -0.1])
def test_smallest_effect_outside_zero_to_one_is_refused(effect: float) -> None:
    with pytest.raises(ValueError, match="smallest_effect: got"):
        Criterion(higher_is_better=True, smallest_effect=effect)


@pytest.mark.slow
def test_each_metric_of_a_family_needs_more_evidence() -> None:
    own = [
        value / 2 for value in (195.0, 133.0, 195.0, 65.0, 195.0, 170.0, 104.0, 195.0, 90.0, 195.0)
    ]
    alone = Comparison(NOISY, own, HIGHER_IS_BETTER)
    others = [Comparison(NOISY, [row[0] for row in NOISY], HIGHER_IS_BETTER)] * 11
    few = Comparison(NOISY, own[:5], HIGHER_IS_BETTER)
    assert judge_all([few])[0].verdict is Verdict.REGRESSED
    assert judge_all([few, *others])[0].verdict is Verdict.UNDECIDED
    assert judge_all([alone, *others])[0].verdict is Verdict.REGRESSED


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(series, trials, criterions)
def test_judgement_is_reproducible(
    baseline: list[list[float]], candidate: list[float], criterion: Criterion
) -> None:
    assert judge(baseline, candidate, criterion) == judge(baseline, candidate, criterion)


@pytest.mark.slow
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


@pytest.mark.slow
@settings(deadline=None)
@given(series, trials)
def test_reversed_direction_exchanges_regressed_and_improved(
    baseline: list[list[float]], candidate: list[float]
) -> None:
    more = decide(Comparison(baseline, candidate, HIGHER_IS_BETTER))
    less = decide(Comparison(baseline, candidate, LOWER_IS_BETTER))
    assert (more is Verdict.REGRESSED) == (less is Verdict.IMPROVED)
    assert (more is Verdict.IMPROVED) == (less is Verdict.REGRESSED)


@pytest.mark.slow
@settings(deadline=None)
@given(series, trials, criterions, st.floats(0, 0.9))
def test_greater_loss_has_no_greater_gap_p_value(
    baseline: list[list[float]], candidate: list[float], criterion: Criterion, loss: float
) -> None:
    comparison = Comparison(baseline, candidate, criterion)
    worse = comparison.scaled(1 - loss if criterion.higher_is_better else 1 / (1 - loss))
    assert worse.of_decrease.p_gap <= comparison.of_decrease.p_gap + 1e-9


def test_trials_between_the_high_and_the_low_runs_are_judged_by_the_median() -> None:
    baseline = [[value] for value in (195.0, 60.0, 195.0, 60.0, 195.0, 60.0, 60.0, 195.0, 60.0)]
    between = [120.0, 121.0, 119.0, 120.0, 121.0, 119.0, 120.0, 121.0, 119.0]
    lower = Comparison(baseline, between, HIGHER_IS_BETTER)
    assert lower.of_decrease.p_precedence < 0.01
    assert lower.of_increase.p_precedence < 0.01
    assert decide(lower) is Verdict.IMPROVED
    assert decide(Comparison(baseline, between, LOWER_IS_BETTER)) is Verdict.REGRESSED


@pytest.mark.slow
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


@pytest.mark.slow
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
