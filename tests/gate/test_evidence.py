"""P-values of a decrease: gap test, precedence test, and the conditions of each."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.gate.evidence import (
    Evidence,
    Levels,
    is_at_earlier_level,
    p_value_of_decrease,
    precedence_p_value,
)
from mlpstorage_bench.gate.independence import intraclass_correlation, von_neumann_ratio

TEN = [100.0, 101.0, 99.5, 100.5, 99.0, 100.2, 100.8, 99.3, 100.1, 99.8]


def runs(values: list[float]) -> list[list[float]]:
    return [[value] for value in values]


@pytest.mark.slow
def test_gap_p_value_equals_the_simulated_rate_with_exponential_tails() -> None:
    """The rate at which the last of eleven exponential values lies so far below the others."""
    baseline, gap = runs([0.0, 0.3, 1.0, 0.1, 0.7, 0.2, 0.9, 0.5, 0.6, 0.4]), 1.0
    random = -np.random.default_rng(1).exponential(size=(400_000, 11))
    lowest, highest = random[:, :10].min(axis=1), random[:, :10].max(axis=1)
    simulated = (lowest - random[:, 10] > gap * (highest - lowest)).mean()
    assert p_value_of_decrease(baseline, [-gap, -gap, -gap]).p_gap == pytest.approx(2 / 11**2)
    assert simulated == pytest.approx(2 / 11**2, rel=0.05)


def leading_groups(order: tuple[int, ...], runs: int, trials: int) -> tuple[int, int]:
    """Return the numbers of leading runs, and then of trials; `order` has the ranks of the runs."""
    is_run = [rank in order for rank in range(runs + trials)]
    above = is_run.index(False) if False in is_run else len(is_run)
    following = [*is_run[above:], True].index(True)
    return above, following


@pytest.mark.parametrize(("number", "trials"), [(8, 5), (8, 6), (9, 5)])
def test_precedence_p_value_equals_the_share_of_rank_orders(number: int, trials: int) -> None:
    """Every order of runs and trials is counted: those with groups as large have the p-value."""
    least = math.ceil(0.4 * number)
    counts = Counter(
        leading_groups(order, number, trials)
        for order in combinations(range(number + trials), number)
    )

    def size(groups: tuple[int, int]) -> tuple[int, float]:
        above, following = groups
        return above + following, -round(abs(above / number - following / trials), 9)

    for groups in counts:
        if groups[0] < least or not groups[1]:
            continue
        as_large = sum(
            count
            for other, count in counts.items()
            if other[0] >= least and other[1] and size(other) >= size(groups)
        )
        expected = as_large / comb(number + trials, number)
        assert precedence_p_value(number, trials, *groups) == pytest.approx(expected)


@pytest.mark.slow
@given(st.integers(8, 30), st.integers(5, 30), st.data())
def test_precedence_p_value_falls_with_each_group(
    number: int, trials: int, data: st.DataObject
) -> None:
    above = data.draw(st.integers(math.ceil(0.4 * number), number - 1))
    following = data.draw(st.integers(1, trials - 1))
    p_value = precedence_p_value(number, trials, above, following)
    assert 0 < p_value <= 1 + 1e-9
    assert precedence_p_value(number, trials, above, following + 1) < p_value
    if above + 1 < number:
        assert precedence_p_value(number, trials, above + 1, following) < p_value


@pytest.mark.slow
@pytest.mark.parametrize(("number", "trials"), [(10, 5), (10, 10), (8, 7), (12, 6)])
def test_independent_values_of_any_kind_have_a_small_p_value_as_rarely_as_it_says(
    number: int, trials: int
) -> None:
    """The groups of samples of one distribution with equal values, without further conditions."""
    random = np.random.default_rng(4)
    small = 0
    for row in np.maximum(0.5, random.random((20_000, number + trials)).round(2)):
        below = row[:number][row[:number] <= row[number:].max()]
        above = number - len(below)
        following = int((row[number:] > below.max(initial=-1)).sum()) or 1
        if above >= math.ceil(0.4 * number):
            small += precedence_p_value(number, trials, above, following) <= 0.01
    assert small / 20_000 <= 0.012


def test_ratio_of_evidence_to_its_levels_is_that_of_the_stronger_test() -> None:
    evidence = Evidence(p_gap=0.02, p_precedence=0.003)
    assert evidence.ratio(Levels(0.01, 0.01)) == pytest.approx(0.3)
    assert evidence.ratio(Levels(0.01, 0.001)) == pytest.approx(2)
    assert evidence.ratio(Levels(0.01, 0)) == pytest.approx(2)
    assert evidence.ratio(Levels(0.01, 0.01).scaled(0.1)) == pytest.approx(3)


def test_decrease_from_a_constant_baseline_has_p_value_zero() -> None:
    assert p_value_of_decrease(runs([195.0] * 10), [185.0] * 3).p_value == 0


@pytest.mark.parametrize(("count", "trials"), [(4, 3), (10, 2)])
def test_too_few_runs_or_trials_have_p_value_one(count: int, trials: int) -> None:
    assert p_value_of_decrease(runs([195.0] * count), [100.0] * trials).p_value == 1


def test_one_trial_near_the_baseline_makes_the_gap_p_value_one() -> None:
    assert p_value_of_decrease(runs(TEN), [50.0, 50.0, 50.0]).p_gap < 0.001
    assert p_value_of_decrease(runs(TEN), [50.0, 50.0, 98.0]).p_gap == 1


CAPPED = [10.0, 1.2, 10.1, 10.0, 4.1, 10.1, 10.0, 10.1]
LOW = [1.0, 2.1, 1.6, 2.1, 0.4, 2.1]


def test_trials_below_a_group_of_high_runs_are_evidence() -> None:
    evidence = p_value_of_decrease(runs(CAPPED), LOW)
    assert evidence.p_precedence < 0.01
    assert evidence.p_gap == 1
    assert evidence.top_ratio == pytest.approx(2.1 / 10.0)


@pytest.mark.parametrize(("count", "trials"), [(7, 6), (8, 4)])
def test_precedence_needs_eight_runs_and_five_trials(count: int, trials: int) -> None:
    assert p_value_of_decrease(runs(CAPPED[-count:]), LOW[-trials:]).p_precedence == 1


def test_serial_correlation_makes_the_precedence_p_value_one() -> None:
    slow = [1.2, 1.3, *CAPPED[2:4], 10.0, 10.0, 10.1, 10.1]
    assert p_value_of_decrease(runs(slow), sorted(LOW)).p_precedence == 1


def test_high_runs_that_differ_as_much_as_the_gap_make_the_precedence_p_value_one() -> None:
    spread = [10.0, 1.2, 6.1, 8.0, 4.1, 9.1, 7.0, 5.1]
    assert p_value_of_decrease(runs(spread), LOW).p_precedence == 1


def test_trials_at_a_level_of_earlier_runs_make_the_precedence_p_value_one() -> None:
    """A system that was at this level before may be there again without a change."""
    at_level = [4.1, 4.0, 4.2, 4.05, 4.15, 4.1]
    new_level = [value + 1 for value in at_level]
    assert p_value_of_decrease(runs(CAPPED), at_level).p_precedence == 1
    assert p_value_of_decrease(runs(CAPPED), new_level).p_precedence < 0.01


def test_trials_that_differ_as_runs_do_have_no_level() -> None:
    assert not is_at_earlier_level(runs(CAPPED), [4.0, 1.2, 4.1, 2.0], [10.1, 10.0])
    assert is_at_earlier_level(runs(CAPPED), [4.0, 4.1, 4.2], [10.1, 10.0])


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
