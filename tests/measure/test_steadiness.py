"""Steadiness of a rate, and its sampling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.measure.steadiness import PARTS, Criterion, Sampler, assess
from mlpstorage_bench.units import NS_PER_S

CRITERION = Criterion(window_s=10.0, slope=0.05, deviation=0.2)


@pytest.mark.parametrize(
    ("rates", "is_steady", "slope", "deviation"),
    [
        ([100.0] * 10, True, 0.0, 0.0),
        ([100.0, 110.0] * 5, True, 0.0, 0.0476),
        ([91.0, 93.0, 95.0, 97.0, 99.0, 101.0, 103.0, 105.0, 107.0, 109.0], False, 0.18, 0.09),
        ([100.0] * 9 + [50.0], False, None, 0.474),
        ([0.0] * 10, False, 0.0, 0.0),
    ],
)
def test_steadiness_depends_on_trend_and_deviation(
    rates: list[float], *, is_steady: bool, slope: float | None, deviation: float
) -> None:
    seen = assess(rates, CRITERION)
    assert seen.is_steady == is_steady
    assert seen.deviation == pytest.approx(deviation, abs=0.001)
    assert seen.rates == tuple(rates)
    if slope is not None:
        assert seen.slope == pytest.approx(slope, abs=0.03)


@pytest.mark.slow
@given(st.floats(1, 1e12), st.floats(-0.5, 0.5))
def test_slope_of_a_line_is_its_rise_over_its_mean(mean: float, rise: float) -> None:
    rates = [mean * (1 + rise * (n / (PARTS - 1) - 0.5)) for n in range(PARTS)]
    assert assess(rates, CRITERION).slope == pytest.approx(rise, abs=1e-6)


def test_sampler_stores_one_rate_per_part() -> None:
    counted = [0]
    sampler = Sampler(lambda: counted[0], 0.5, now_ns=0)
    assert not sampler.sample(NS_PER_S // 4)
    counted[0] = 100
    assert sampler.sample(NS_PER_S // 2)
    counted[0] = 300
    assert sampler.sample(3 * NS_PER_S // 2)
    assert sampler.rates == [200.0, 200.0]
    assert sampler.latest(CRITERION) is None
    for number in range(10):
        counted[0] += 100
        sampler.sample((2 + number) * NS_PER_S)
    seen = sampler.latest(CRITERION)
    assert seen is not None
    assert len(seen.rates) == PARTS
