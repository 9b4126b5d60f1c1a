from __future__ import annotations

import random

import pytest

from mlpstorage_bench.gate.change_points import LEAST_RUNS, change_points


def steps(*levels: float, of: int = 20) -> list[float]:
    dice = random.Random(5)
    return [level * (1 + dice.gauss(0, 0.02)) for level in levels for _ in range(of)]


def test_a_step_is_found_where_it_is() -> None:
    assert change_points(steps(1.0, 0.9)) == [20]


def test_several_steps_are_found_in_order() -> None:
    assert change_points(steps(1.0, 0.8, 1.1)) == [20, 40]


@pytest.mark.parametrize("values", [[], [1.0] * 100, steps(1.0, of=100)])
def test_noise_and_constants_have_no_change(values: list[float]) -> None:
    assert change_points(values) == []


def test_few_values_have_no_change_however_great() -> None:
    half = LEAST_RUNS // 2
    assert change_points([1.0] * (half - 1) + [9.0] * half) == []
    assert change_points([*map(float, range(half)), *(100.0 + n for n in range(half))]) == [half]


def test_one_outlier_is_no_change() -> None:
    values = steps(1.0)
    values[10] = 0.1
    assert change_points(values) == []
