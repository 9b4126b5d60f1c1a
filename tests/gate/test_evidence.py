"""The evidence that a run is lower than its baseline."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from mlpstorage_bench.gate.evidence import (
    ends_lower,
    intraclass_correlation,
    p_value_of_decrease,
    von_neumann,
)

TEN = [100.0, 101.0, 99.5, 100.5, 99.0, 100.2, 100.8, 99.3, 100.1, 99.8]


def runs(values: list[float]) -> list[list[float]]:
    return [[value] for value in values]


def test_a_run_apart_is_as_unlikely_as_a_gap_of_that_width_in_exponential_tails() -> None:
    """Simulated: how often the last of eleven exponential values lies so far below the others."""
    baseline, gap = runs([0.0, 0.3, 1.0, 0.1, 0.7, 0.2, 0.9, 0.5, 0.6, 0.4]), 1.0
    dice = -np.random.default_rng(1).exponential(size=(400_000, 11))
    lowest, highest = dice[:, :10].min(axis=1), dice[:, :10].max(axis=1)
    simulated = (lowest - dice[:, 10] > gap * (highest - lowest)).mean()
    assert p_value_of_decrease(baseline, [-gap, -gap, -gap]).p_gap == pytest.approx(2 / 11**2)
    assert simulated == pytest.approx(2 / 11**2, rel=0.05)


def test_trials_that_agree_are_as_unlikely_as_that_order_of_ranks() -> None:
    """Counted: of all orders of eight runs and six trials, those with the highest runs on top."""
    places = range(14)
    orders = sum(
        all(place in taken for place in (8, 9, 10, 11, 12, 13)) for taken in combinations(places, 8)
    )
    baseline = runs([10.0, 1.0, 10.1, 10.0, 1.1, 10.1, 10.0, 10.1])
    seen = p_value_of_decrease(baseline, [2.0, 1.5, 2.0, 1.2, 2.0, 1.3]).p_precedence
    assert seen == pytest.approx(orders / comb(14, 8))


def test_values_that_were_always_the_same_and_are_lower_now_leave_no_doubt() -> None:
    assert p_value_of_decrease(runs([195.0] * 10), [185.0] * 3).p_value == 0


@pytest.mark.parametrize(("count", "trials"), [(4, 3), (10, 2)])
def test_too_few_runs_or_trials_are_no_evidence(count: int, trials: int) -> None:
    assert p_value_of_decrease(runs([195.0] * count), [100.0] * trials).p_value == 1


def test_one_good_trial_keeps_a_run_from_standing_apart() -> None:
    assert p_value_of_decrease(runs(TEN), [50.0, 50.0, 50.0]).p_gap < 0.001
    assert p_value_of_decrease(runs(TEN), [50.0, 50.0, 98.0]).p_gap == 1


def test_values_that_resemble_those_before_them_are_no_evidence_of_trials_that_agree() -> None:
    low, high = [1.0, 1.1, 1.0, 1.1, 1.0, 1.1], [10.0, 1.2, 10.1, 10.0, 1.1, 10.1, 10.0, 10.1]
    assert p_value_of_decrease(runs(high), low).p_precedence < 0.01
    assert (
        p_value_of_decrease(
            runs([1.2, 1.1, *[10.0] * 6]), [1.0, 1.0, 1.0, 1.1, 1.1, 1.1]
        ).p_precedence
        == 1
    )


def test_a_baseline_that_ended_low_had_the_change_before() -> None:
    assert ends_lower([10.0, 10.1, 10.0, 10.2, 10.1, 10.0, 10.0, 10.1, 5.0, 5.1])
    assert not ends_lower([10.0, 10.1, 5.0, 10.2, 10.1, 10.0, 10.0, 10.1, 10.0, 5.1])


def test_trials_count_for_less_where_those_of_a_run_are_alike() -> None:
    dice = np.random.default_rng(2)
    levels = dice.standard_normal((10, 1))
    alike = intraclass_correlation((levels + 0.1 * dice.standard_normal((10, 5))).tolist())
    apart = intraclass_correlation(dice.standard_normal((10, 5)).tolist())
    assert alike == pytest.approx(0.99, abs=0.03)
    assert apart is not None
    assert apart < 0.35


def test_runs_of_one_trial_tell_nothing_of_how_alike_trials_are() -> None:
    assert intraclass_correlation(runs(TEN)) is None


def test_von_neumann_s_ratio_is_two_for_noise_and_little_for_a_walk() -> None:
    dice = np.random.default_rng(3)
    noise = 10 + dice.standard_normal((500, 10))
    walks = 100 + np.cumsum(dice.standard_normal((500, 10)), axis=1)
    assert np.mean([von_neumann(row) for row in noise.tolist()]) == pytest.approx(2, abs=0.1)
    assert np.mean([von_neumann(row) for row in walks.tolist()]) < 1


def test_a_step_between_two_series_is_none_within_them() -> None:
    series = [10.0, 11.0, 10.0, 11.0]
    assert von_neumann(series, [value / 2 for value in series]) == pytest.approx(
        von_neumann(series, series)
    )
