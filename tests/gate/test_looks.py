"""Which looks decide, what they may spend, and that retries keep the rate of false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.gate.decision import Comparison, Question, Verdict, judge_at
from mlpstorage_bench.gate.looks import Looks, Retries, holm_levels, plan_looks, share_of_look
from tests.gate import processes

QUESTION = Question(higher_is_better=True, smallest_effect=0.05)


@pytest.mark.parametrize(
    ("baseline_runs", "trials_each", "looks", "deciding"),
    [
        (7, 3, 4, (1,)),
        (8, 3, 4, (1, 2, 3, 4)),
        (10, 1, 4, (3,)),
        (10, 2, 4, (2, 3, 4)),
        (5, 2, 4, (2,)),
        (10, 1, 2, (2,)),
    ],
)
def test_looks_decide_where_numbers_of_runs_and_trials_let_them(
    baseline_runs: int, trials_each: int, looks: int, deciding: tuple[int, ...]
) -> None:
    assert plan_looks(baseline_runs, trials_each, looks) == deciding


@given(st.integers(0, 12), st.integers(1, 10), st.integers(1, 8))
def test_looks_that_decide_spend_the_whole_rate(runs: int, trials_each: int, looks: int) -> None:
    planned = Looks(plan_looks(runs, trials_each, looks), 1, trials_each)
    assert sum(planned.share(0.01, look) for look in range(1, looks + 1)) == pytest.approx(0.01)


def test_a_case_that_no_more_trials_can_be_run_of_has_one_look() -> None:
    assert Retries(4, {"1": 3}).looks_at("2", 3, 10) == Looks()
    assert Retries(4, {"1": 3}).looks_at("1", 6, 10) == Looks((1, 2, 3, 4), 2, 3)


def retried(baseline: list[float], values: list[float], each: int) -> Verdict:
    """Return the verdict on a run whose trials are added while a later look may decide."""
    retries = Retries(4, {"1": each})
    for look in range(1, 5):
        comparison = Comparison([[one] for one in baseline], values[: look * each], QUESTION)
        looks = retries.looks_at("1", look * each, len(baseline))
        (judgement,) = judge_at([(comparison, looks)])
        if not judgement.is_to_repeat:
            return judgement.verdict
    return judgement.verdict


@pytest.mark.parametrize("runs", [5, 10])
@pytest.mark.parametrize("process", ["white", "capped", "AR 0.8"])
def test_retries_that_stop_early_raise_no_more_false_alarms(process: str, runs: int) -> None:
    dice, rows, length = np.random.default_rng(17), 300, runs + 12
    series = {
        "white": lambda: processes.white(dice, rows, length, 0.02),
        "capped": lambda: processes.capped(dice, rows, length),
        "AR 0.8": lambda: processes.autoregressive(dice, rows, length, 0.2, 0.8),
    }[process]()
    seen = [retried(row[:runs], row[runs:], 3) for row in np.maximum(series, 0.01).tolist()]
    assert seen.count(Verdict.REGRESSED) <= 8


def test_retries_find_nearly_all_that_one_look_finds() -> None:
    dice, rows, runs = np.random.default_rng(19), 200, 10
    series = processes.white(dice, rows, runs + 12, 0.01)
    once = again = 0
    for row in series.tolist():
        lost = [value * 0.93 for value in row[runs:]]
        comparison = Comparison([[one] for one in row[:runs]], lost[:3], QUESTION)
        once += judge_at([(comparison, Looks())])[0].verdict is Verdict.REGRESSED
        again += retried(row[:runs], lost, 3) is Verdict.REGRESSED
    assert again >= once


@given(st.floats(0.0001, 0.2), st.integers(1, 12))
def test_all_looks_together_spend_the_rate(rate: float, looks: int) -> None:
    shares = [share_of_look(rate, look, looks) for look in range(1, looks + 1)]
    assert sum(shares) == pytest.approx(rate)
    assert all(share > 0 for share in shares)


def test_most_is_kept_for_the_last_look() -> None:
    assert share_of_look(0.01, 1, 3) < 0.0001
    assert share_of_look(0.01, 3, 3) > 0.008
    assert share_of_look(0.01, 1, 1) == 0.01


@pytest.mark.parametrize("look", [0, 4])
def test_a_look_that_was_not_planned_is_refused(look: int) -> None:
    with pytest.raises(ValueError, match=f"got {look} of 3"):
        share_of_look(0.01, look, 3)


def test_holm_compares_the_smallest_with_the_strictest_level() -> None:
    assert holm_levels([0.5, 0.001, 0.004], 0.01) == pytest.approx([0.01, 0.01 / 3, 0.005])


def test_after_one_that_does_not_pass_none_does() -> None:
    p_values = [0.004, 0.0045, 0.0099]
    levels = holm_levels(p_values, 0.01)
    assert not any(p <= level for p, level in zip(p_values, levels, strict=True))


@given(st.sets(st.floats(0, 1), min_size=1, max_size=12))
def test_a_metric_s_level_does_not_depend_on_the_order(p_values: set[float]) -> None:
    unique = sorted(p_values)
    forward = dict(zip(unique, holm_levels(unique, 0.01), strict=True))
    backward = dict(zip(unique[::-1], holm_levels(unique[::-1], 0.01), strict=True))
    assert forward == backward


def test_a_dozen_metrics_raise_no_more_false_alarms_than_one() -> None:
    dice = np.random.default_rng(1)
    families = dice.random((20000, 12)).tolist()
    alarms = sum(
        any(p <= level for p, level in zip(family, holm_levels(family, 0.05), strict=True))
        for family in families
    )
    assert 0.045 < alarms / len(families) < 0.055
