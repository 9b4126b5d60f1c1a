"""The verdict on a metric, and what is told with it."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpstorage_bench.gate.decision import (
    Comparison,
    Judgement,
    Question,
    Verdict,
    decide,
    judge,
    judge_all,
)

MORE = Question(higher_is_better=True, smallest_effect=0.05)
LESS = Question(higher_is_better=False, smallest_effect=0.05)
QUIET = [[value] for value in (100.0, 100.3, 99.8, 100.1, 99.9, 100.2, 100.0, 99.7, 100.1, 99.9)]
NOISY = [[value] for value in (195.0, 52.0, 195.0, 133.0, 195.0, 195.0, 65.0, 195.0, 190.0, 104.0)]

values = st.floats(1, 1000)
series = st.sampled_from([QUIET, NOISY]) | st.lists(
    st.lists(values, min_size=1, max_size=3), min_size=1, max_size=12
)
trials = st.lists(values, min_size=1, max_size=12)
questions = st.sampled_from([MORE, LESS])


def scaled(runs: list[list[float]], factor: float) -> list[list[float]]:
    return [[value * factor for value in run] for run in runs]


def test_a_loss_beyond_the_baseline_s_spread_is_a_regression() -> None:
    seen = judge(QUIET, [95.0, 94.8, 95.2], MORE)
    assert seen.verdict is Verdict.REGRESSED
    assert seen.effect == pytest.approx(-0.05)
    assert seen.interval == pytest.approx((-0.053, -0.047), abs=0.002)
    assert (seen.baseline_median, seen.candidate_median) == (100.0, 95.0)
    assert seen.baseline_spread == pytest.approx(0.003)
    assert seen.p_value < 0.001
    assert seen.more_trials is None
    assert seen.reason == "5.0% worse, further than the baseline's spread explains"


def test_a_loss_of_latency_is_an_improvement() -> None:
    seen = judge(QUIET, [95.0, 94.8, 95.2], LESS)
    assert seen.verdict is Verdict.IMPROVED
    assert seen.effect == pytest.approx(0.05)


def test_passed_means_that_the_loss_would_have_been_seen() -> None:
    seen = judge(QUIET, [100.1, 99.8, 100.0], MORE)
    assert seen.verdict is Verdict.PASSED
    assert seen.detectable_effect is not None
    assert seen.detectable_effect <= 0.05


def test_a_loss_smaller_than_what_matters_passes() -> None:
    assert judge(QUIET, [97.1, 97.0, 97.2], MORE).verdict is Verdict.PASSED


def test_what_noise_hides_is_undecided_and_says_what_would_have_been_seen() -> None:
    seen = judge(NOISY, [195.0, 133.0, 195.0, 65.0, 195.0, 170.0, 104.0, 195.0, 90.0, 195.0], MORE)
    assert seen.verdict is Verdict.UNDECIDED
    assert seen.detectable_effect is not None
    assert 0.05 < seen.detectable_effect < 0.6
    assert "a loss could have been shown from" in seen.reason


def test_the_detectable_effect_is_where_the_verdict_turns() -> None:
    own = [195.0, 133.0, 195.0, 65.0, 195.0, 170.0, 104.0, 195.0, 90.0, 195.0]
    seen = judge(NOISY, own, MORE).detectable_effect
    assert seen is not None
    comparison = Comparison(NOISY, own, MORE)
    assert decide(comparison.with_loss(seen + 0.001)) is Verdict.REGRESSED
    assert decide(comparison.with_loss(seen - 0.001)) is not Verdict.REGRESSED


def test_more_trials_are_asked_for_where_they_would_show_it() -> None:
    steady = [
        [value] for value in (195.0, 52.0, 195.0, 195.0, 194.0, 195.0, 65.0, 195.0, 195.0, 195.0)
    ]
    own = [195.0, 194.0, 195.0]
    seen = judge(steady, own, MORE)
    assert seen.verdict is Verdict.UNDECIDED
    assert seen.more_trials is not None
    assert f"{seen.more_trials} more trials would show a loss of 5.0%" in seen.reason
    wanted = Comparison(steady, own, MORE).with_loss(0.05)
    assert decide(wanted.with_trials(3 + seen.more_trials)) is Verdict.REGRESSED
    assert decide(wanted.with_trials(2 + seen.more_trials)) is not Verdict.REGRESSED


def test_no_number_of_trials_is_asked_for_where_runs_differ_too_much() -> None:
    runs = [[value] * 3 for value in (100.0, 80.0, 110.0, 95.0, 70.0, 105.0, 90.0, 85.0)]
    seen = judge(runs, [92.0, 92.1, 91.9], MORE)
    assert (seen.verdict, seen.more_trials) == (Verdict.UNDECIDED, None)
    assert seen.reason.endswith("no number of trials shows a loss of 5.0%")


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_runs_leave_it_undecided_and_say_why(count: int) -> None:
    seen = judge(QUIET[:count], [50.0] * 5, MORE)
    assert seen.verdict is Verdict.UNDECIDED
    assert seen.reason == f"{count} baseline runs: how far runs differ takes 5"


def test_five_quiet_runs_are_enough_for_a_loss_that_stands_far_apart() -> None:
    assert judge(QUIET[:5], [90.0, 90.1, 89.9], MORE).verdict is Verdict.REGRESSED


def test_one_trial_is_undecided_and_says_why() -> None:
    seen = judge(QUIET, [50.0], MORE)
    assert seen.verdict is Verdict.UNDECIDED
    assert seen.reason == "1 trials: what one says takes 3 that agree"


@pytest.mark.parametrize(
    ("baseline", "reason"),
    [([], "no baseline runs"), ([[0.0]] * 10, "a baseline of zero or less")],
)
def test_without_a_baseline_to_relate_to_it_is_undecided(
    baseline: list[list[float]], reason: str
) -> None:
    seen = judge(baseline, [1.0, 2.0, 3.0], MORE)
    assert seen.verdict is Verdict.UNDECIDED
    assert (seen.effect, seen.interval, seen.detectable_effect) == (None, None, None)
    assert seen.reason.endswith(reason)


@pytest.mark.parametrize("candidate", [[], [1.0, float("nan")], [float("inf")]])
def test_trials_that_are_no_numbers_are_refused(candidate: list[float]) -> None:
    with pytest.raises(ValueError, match="trials of a run: got"):
        judge(QUIET, candidate, MORE)


@pytest.mark.parametrize("effect", [0.0, 1.0, -0.1])
def test_an_effect_that_is_no_share_is_refused(effect: float) -> None:
    with pytest.raises(ValueError, match="smallest_effect: got"):
        Question(higher_is_better=True, smallest_effect=effect)


def test_metrics_that_are_judged_together_need_more_evidence_each() -> None:
    own = [
        value / 2 for value in (195.0, 133.0, 195.0, 65.0, 195.0, 170.0, 104.0, 195.0, 90.0, 195.0)
    ]
    alone = Comparison(NOISY, own, MORE)
    others = [Comparison(NOISY, [row[0] for row in NOISY], MORE)] * 11
    few = Comparison(NOISY, own[:7], MORE)
    assert judge_all([few])[0].verdict is Verdict.REGRESSED
    assert judge_all([few, *others])[0].verdict is Verdict.UNDECIDED
    assert judge_all([alone, *others])[0].verdict is Verdict.REGRESSED


@settings(max_examples=40, deadline=None)
@given(series, trials, questions)
def test_the_same_samples_have_the_same_judgement(
    baseline: list[list[float]], candidate: list[float], question: Question
) -> None:
    assert judge(baseline, candidate, question) == judge(baseline, candidate, question)


@settings(max_examples=60, deadline=None)
@given(series, trials, questions, st.integers(-20, 20))
def test_the_unit_does_not_matter(
    baseline: list[list[float]], candidate: list[float], question: Question, power: int
) -> None:
    """Powers of two scale floating-point numbers exactly."""
    unit = 2.0**power

    def relative(seen: Judgement) -> tuple[object, ...]:
        return (*astuple(seen)[:3], seen.baseline_spread, seen.detectable_effect, seen.more_trials)

    seen = judge(baseline, candidate, question)
    other = judge(scaled(baseline, unit), scaled([candidate], unit)[0], question)
    assert relative(other) == relative(seen)
    assert other.candidate_median == seen.candidate_median * unit


@settings(deadline=None)
@given(series, trials)
def test_what_is_better_one_way_is_worse_the_other(
    baseline: list[list[float]], candidate: list[float]
) -> None:
    more = decide(Comparison(baseline, candidate, MORE))
    less = decide(Comparison(baseline, candidate, LESS))
    assert (more is Verdict.REGRESSED) == (less is Verdict.IMPROVED)
    assert (more is Verdict.IMPROVED) == (less is Verdict.REGRESSED)


@settings(deadline=None)
@given(series, trials, questions, st.floats(0, 0.9))
def test_a_greater_loss_is_never_less_regressed(
    baseline: list[list[float]], candidate: list[float], question: Question, loss: float
) -> None:
    comparison = Comparison(baseline, candidate, question)
    worse = comparison.scaled(1 - loss if question.higher_is_better else 1 / (1 - loss))
    before, after = decide(comparison), decide(worse)
    if before is Verdict.REGRESSED:
        assert after is Verdict.REGRESSED
    if after is Verdict.IMPROVED:
        assert before is Verdict.IMPROVED


@settings(deadline=None)
@given(series, trials, questions)
def test_fewer_false_alarms_are_never_bought_with_more(
    baseline: list[list[float]], candidate: list[float], question: Question
) -> None:
    strict = Question(question.higher_is_better, question.smallest_effect, false_alarm_rate=0.001)
    if decide(Comparison(baseline, candidate, strict)) is Verdict.REGRESSED:
        assert decide(Comparison(baseline, candidate, question)) is Verdict.REGRESSED


@settings(max_examples=60, deadline=None)
@given(series, trials, questions)
def test_a_verdict_alone_is_that_of_the_whole_judgement(
    baseline: list[list[float]], candidate: list[float], question: Question
) -> None:
    seen = judge(baseline, candidate, question)
    assert decide(Comparison(baseline, candidate, question)) is seen.verdict
    if seen.interval is not None:
        assert seen.interval[0] <= seen.interval[1]
    if seen.verdict is Verdict.REGRESSED:
        assert seen.effect is not None
        assert seen.effect <= -0.75 * question.smallest_effect
