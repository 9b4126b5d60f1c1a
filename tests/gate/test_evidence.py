"""P-values of a decrease: gap test, precedence test, and the conditions of each."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from mlpstorage_bench.gate.evidence import (
    ends_with_step_down,
    intraclass_correlation,
    p_value_of_decrease,
    von_neumann_ratio,
)

TEN = [100.0, 101.0, 99.5, 100.5, 99.0, 100.2, 100.8, 99.3, 100.1, 99.8]


def runs(values: list[float]) -> list[list[float]]:
    return [[value] for value in values]


def test_gap_p_value_equals_the_simulated_rate_with_exponential_tails() -> None:
    """The rate at which the last of eleven exponential values lies so far below the others."""
    baseline, gap = runs([0.0, 0.3, 1.0, 0.1, 0.7, 0.2, 0.9, 0.5, 0.6, 0.4]), 1.0
    random = -np.random.default_rng(1).exponential(size=(400_000, 11))
    lowest, highest = random[:, :10].min(axis=1), random[:, :10].max(axis=1)
    simulated = (lowest - random[:, 10] > gap * (highest - lowest)).mean()
    assert p_value_of_decrease(baseline, [-gap, -gap, -gap]).p_gap == pytest.approx(2 / 11**2)
    assert simulated == pytest.approx(2 / 11**2, rel=0.05)


def test_precedence_p_value_equals_the_share_of_rank_orders() -> None:
    """The share of the orders of eight runs and six trials that have six runs on top."""
    ranks = range(14)
    orders = sum(
        all(rank in of_runs for rank in (8, 9, 10, 11, 12, 13))
        for of_runs in combinations(ranks, 8)
    )
    baseline = runs([10.0, 1.0, 10.1, 10.0, 1.1, 10.1, 10.0, 10.1])
    p_value = p_value_of_decrease(baseline, [2.0, 1.5, 2.0, 1.2, 2.0, 1.3]).p_precedence
    assert p_value == pytest.approx(orders / comb(14, 8))


def test_decrease_from_a_constant_baseline_has_p_value_zero() -> None:
    assert p_value_of_decrease(runs([195.0] * 10), [185.0] * 3).p_value == 0


@pytest.mark.parametrize(("count", "trials"), [(4, 3), (10, 2)])
def test_too_few_runs_or_trials_have_p_value_one(count: int, trials: int) -> None:
    assert p_value_of_decrease(runs([195.0] * count), [100.0] * trials).p_value == 1


def test_one_trial_near_the_baseline_makes_the_gap_p_value_one() -> None:
    assert p_value_of_decrease(runs(TEN), [50.0, 50.0, 50.0]).p_gap < 0.001
    assert p_value_of_decrease(runs(TEN), [50.0, 50.0, 98.0]).p_gap == 1


def test_serial_correlation_makes_the_precedence_p_value_one() -> None:
    low, high = [1.0, 1.1, 1.0, 1.1, 1.0, 1.1], [10.0, 1.2, 10.1, 10.0, 1.1, 10.1, 10.0, 10.1]
    assert p_value_of_decrease(runs(high), low).p_precedence < 0.01
    assert (
        p_value_of_decrease(
            runs([1.2, 1.1, *[10.0] * 6]), [1.0, 1.0, 1.0, 1.1, 1.1, 1.1]
        ).p_precedence
        == 1
    )


def test_step_down_at_the_end_of_the_baseline_is_detected() -> None:
    assert ends_with_step_down([10.0, 10.1, 10.0, 10.2, 10.1, 10.0, 10.0, 10.1, 5.0, 5.1])
    assert not ends_with_step_down([10.0, 10.1, 5.0, 10.2, 10.1, 10.0, 10.0, 10.1, 10.0, 5.1])


def test_intraclass_correlation_is_near_one_if_trials_of_a_run_are_alike() -> None:
    random = np.random.default_rng(2)
    levels = random.standard_normal((10, 1))
    similar = intraclass_correlation((levels + 0.1 * random.standard_normal((10, 5))).tolist())
    independent = intraclass_correlation(random.standard_normal((10, 5)).tolist())
    assert similar == pytest.approx(0.99, abs=0.03)
    assert independent is not None
    assert independent < 0.35


def test_runs_of_one_trial_have_no_intraclass_correlation() -> None:
    assert intraclass_correlation(runs(TEN)) is None


def test_von_neumann_ratio_is_two_for_noise_and_small_for_a_random_walk() -> None:
    random = np.random.default_rng(3)
    noise = 10 + random.standard_normal((500, 10))
    walks = 100 + np.cumsum(random.standard_normal((500, 10)), axis=1)
    assert np.mean([von_neumann_ratio(row) for row in noise.tolist()]) == pytest.approx(2, abs=0.1)
    assert np.mean([von_neumann_ratio(row) for row in walks.tolist()]) < 1


def test_von_neumann_ratio_ignores_a_step_between_two_series() -> None:
    series = [10.0, 11.0, 10.0, 11.0]
    assert von_neumann_ratio(series, [value / 2 for value in series]) == pytest.approx(
        von_neumann_ratio(series, series)
    )
