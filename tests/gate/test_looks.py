"""Looks of a case, alpha spending, Holm levels, and the false-alarm rate of retries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.checkpointing.benchmark import CHECKPOINTING
from mlpstorage_bench.gate import decision, verdicts
from mlpstorage_bench.gate.baseline import Baseline
from mlpstorage_bench.gate.decision import (
    Comparison,
    Criterion,
    Judgement,
    Verdict,
    decide,
    may_be_decided_later,
)
from mlpstorage_bench.gate.disturbances import usual_conditions
from mlpstorage_bench.gate.looks import Looks, Retries, alpha_of_look, holm_levels
from mlpstorage_bench.gate.rules import parse_rules
from mlpstorage_bench.gate.series import CaseSeries, RunSeries, TrialSeries
from mlpstorage_bench.measure.conditions import TrialConditions
from tests.gate import noise_models as noise

CRITERION = Criterion(higher_is_better=True, smallest_effect=0.05)


def test_case_without_further_trials_has_one_look() -> None:
    assert Retries(4, {"1": 3}).looks_at("2", 3) == Looks()
    assert Retries(1, {"1": 3}).looks_at("1", 3) == Looks()
    assert Retries(4, {"1": 3}).looks_at("1", 6) == Looks(2, 4, 3)


def test_trials_that_are_left_out_count_for_the_look_and_not_for_what_it_judged() -> None:
    looks = Retries(4, {"1": 3}).looks_at("1", 9, left_out=(2, 5, 6))
    assert looks.current == 3
    assert [looks.trials_at(look) for look in (1, 2)] == [2, 3]
    none_is_left = Retries(4, {"1": 2}).looks_at("1", 6, left_out=(1, 2))
    assert none_is_left.trials_at(1) == 1, "a comparison has a trial"


def verdict_with_retries(baseline: list[float], values: list[float], per_look: int) -> Verdict:
    """Return the verdict on a run that gets more trials while a later look may decide."""
    retries = Retries(4, {"1": per_look})
    for look in range(1, 5):
        comparison = Comparison([[one] for one in baseline], values[: look * per_look], CRITERION)
        looks = retries.looks_at("1", look * per_look)
        verdict = decide(comparison, looks)
        if not may_be_decided_later(comparison, looks, verdict):
            return verdict
    return verdict


@pytest.mark.slow
@pytest.mark.parametrize("runs", [5, 10])
@pytest.mark.parametrize("model", ["white", "capped", "AR 0.8"])
def test_retries_with_early_stopping_keep_the_false_alarm_rate(model: str, runs: int) -> None:
    random, rows, length = np.random.default_rng(17), 300, runs + 12
    series = {
        "white": lambda: noise.white(random, rows, length, 0.02),
        "capped": lambda: noise.capped(random, rows, length),
        "AR 0.8": lambda: noise.autoregressive(random, rows, length, 0.2, 0.8),
    }[model]()
    found = [
        verdict_with_retries(row[:runs], row[runs:], 3) for row in np.maximum(series, 0.01).tolist()
    ]
    assert found.count(Verdict.REGRESSED) <= 8


@pytest.mark.slow
def test_retries_find_as_many_losses_as_one_look() -> None:
    random, rows, runs = np.random.default_rng(19), 200, 10
    series = noise.white(random, rows, runs + 12, 0.01)
    one_look = retries = 0
    for row in series.tolist():
        lost = [value * 0.93 for value in row[runs:]]
        comparison = Comparison([[one] for one in row[:runs]], lost[:3], CRITERION)
        one_look += decide(comparison) is Verdict.REGRESSED
        retries += verdict_with_retries(row[:runs], lost, 3) is Verdict.REGRESSED
    assert retries >= one_look


@given(st.floats(0.0001, 0.2), st.integers(1, 12))
def test_alphas_of_all_looks_add_up_to_the_rate(rate: float, looks: int) -> None:
    alphas = [alpha_of_look(rate, look, looks) for look in range(1, looks + 1)]
    assert sum(alphas) == pytest.approx(rate)
    assert all(alpha > 0 for alpha in alphas)


def test_last_look_has_most_of_the_rate() -> None:
    assert alpha_of_look(0.01, 1, 3) < 0.0001
    assert alpha_of_look(0.01, 3, 3) > 0.008
    assert alpha_of_look(0.01, 1, 1) == 0.01


@pytest.mark.parametrize("look", [0, 4])
def test_look_outside_the_plan_is_refused(look: int) -> None:
    with pytest.raises(ValueError, match=f"got {look} of 3"):
        alpha_of_look(0.01, look, 3)


def test_holm_gives_the_smallest_p_value_the_strictest_level() -> None:
    assert holm_levels([0.5, 0.001, 0.004], 0.01) == pytest.approx([0.01, 0.01 / 3, 0.005])


def test_holm_rejects_nothing_after_the_first_p_value_above_its_level() -> None:
    p_values = [0.004, 0.0045, 0.0099]
    levels = holm_levels(p_values, 0.01)
    assert not any(p <= level for p, level in zip(p_values, levels, strict=True))


@pytest.mark.slow
@given(st.sets(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_level_is_independent_of_order(p_values: set[float]) -> None:
    unique = sorted(p_values)
    forward = dict(zip(unique, holm_levels(unique, 0.01), strict=True))
    backward = dict(zip(unique[::-1], holm_levels(unique[::-1], 0.01), strict=True))
    assert forward == backward


@pytest.mark.slow
def test_twelve_metrics_keep_the_false_alarm_rate_of_one() -> None:
    random = np.random.default_rng(1)
    families = random.random((20000, 12)).tolist()
    alarms = sum(
        any(p <= level for p, level in zip(family, holm_levels(family, 0.05), strict=True))
        for family in families
    )
    assert 0.045 < alarms / len(families) < 0.055


def test_case_with_a_trial_left_out_is_at_the_look_of_all_its_trials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quiet = TrialConditions(moved_gib_s=1.0, limit="storage", others_gib_s=0.0)
    seen: list[Looks] = []

    def judge_at(family: Sequence[tuple[Comparison, Looks]]) -> list[Judgement]:
        seen.extend(looks for _, looks in family)
        return decision.judge_at(family)

    monkeypatch.setattr(verdicts, "judge_at", judge_at)
    conditions = [quiet, replace(quiet, others_gib_s=1.7), *[quiet] * 4]
    trials = tuple(TrialSeries({"write_gib_s": 1.0}, one) for one in conditions)

    def run(run_id: str, trials: tuple[TrialSeries, ...]) -> RunSeries:
        case = CaseSeries("w", {}, trials)
        return RunSeries(run_id, "2026-11-24T10:00:00+00:00", "checkpointing", "s", {}, {"1": case})

    nights = tuple(run(f"night-{number}", (trials[0],)) for number in range(5))
    usual = usual_conditions([[quiet]] * 5)
    baseline = Baseline(nights, can_grow=True, accepts_candidate=True, usual=usual)
    rules = parse_rules(CHECKPOINTING.metrics, ())
    judged = run("new", trials)
    verdicts.judge_run(judged, {"1": baseline}, rules, retries=Retries(2, {"1": 3}))
    assert seen == [Looks(2, 2, 3, (2,))]


def test_case_may_have_as_many_trials_as_the_looks_that_are_left_add() -> None:
    retries = Retries(2, {"write": 1})
    assert [retries.most_trials("write", trials) for trials in (1, 2)] == [2, 2]
    assert Retries(4, {"write": 3}).most_trials("write", 6) == 12
    assert retries.most_trials("read", 1) == 1
