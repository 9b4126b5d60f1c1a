from __future__ import annotations

import pytest

from mlpstorage_bench.report.charts.scale import between, linear, logarithmic, number_text


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.9], [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ([210.0, 3.0], [0, 50, 100, 150, 200, 250]),
        ([0.0], [0, 1]),
        ([], [0, 1]),
    ],
)
def test_linear_axis_ends_at_a_round_number(values: list[float], ticks: list[float]) -> None:
    assert list(linear(values, 0, 100).ticks) == pytest.approx(ticks)


def test_positions_run_from_end_to_end() -> None:
    scale = linear([10.0], 200.0, 0.0)
    assert [scale.at(value) for value in (0.0, 5.0, 10.0)] == [200.0, 100.0, 0.0]
    assert scale.at(1e30) == 0.0


def test_logarithmic_axis_has_steps_and_many_decades_only_powers() -> None:
    assert list(logarithmic([3.0, 40.0], 0, 1).ticks) == pytest.approx([2, 5, 10, 20, 50])
    assert list(logarithmic([0.001, 900.0], 0, 1).ticks) == pytest.approx(
        [0.001, 0.01, 0.1, 1, 10, 100, 1000]
    )
    assert logarithmic([5.0, 5.0], 0, 1).at(5.0) == 0.0


def test_axis_between_two_ends_has_round_numbers_inside() -> None:
    assert list(between(0.3, 2.1, 0, 1).ticks) == pytest.approx([0.5, 1.0, 1.5, 2.0])
    assert between(5.0, 5.0, 0, 1).at(5.0) == 0.0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1234.5, "1234"), (12.34, "12.3"), (0.01234, "0.0123"), (100.0, "100"), (2, "2")],
)
def test_numbers_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert number_text(value) == text
