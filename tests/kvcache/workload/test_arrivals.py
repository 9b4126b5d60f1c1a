"""Arrival times: rate, distribution, and dependence on the seed."""

from __future__ import annotations

import itertools
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.kvcache.workload.arrivals import Distribution, Rate, arrival_times

DISTRIBUTIONS = st.sampled_from(["constant", "poisson", "gamma"])
RATES = st.floats(0.1, 1000)


def until(rate: Rate, end_s: float, seed: int = 1) -> list[float]:
    return list(itertools.takewhile(lambda t: t < end_s, arrival_times(rate, seed)))


def variation(moments: list[float]) -> float:
    """Squared coefficient of variation of the gaps."""
    gaps = [b - a for a, b in itertools.pairwise(moments)]
    return statistics.pvariance(gaps) / statistics.fmean(gaps) ** 2


@pytest.mark.slow
@given(DISTRIBUTIONS, RATES, st.one_of(st.none(), RATES), st.integers(0, 2**32))
def test_arrival_times_increase_and_depend_only_on_the_seed(
    distribution: Distribution, start: float, end: float | None, seed: int
) -> None:
    rate = Rate(distribution, start, end, ramp_s=5.0 if end else 0.0, burstiness=0.5)
    moments = list(itertools.islice(arrival_times(rate, seed), 50))
    assert moments == sorted(moments)
    assert moments == list(itertools.islice(arrival_times(rate, seed), 50))


@pytest.mark.parametrize("distribution", ["constant", "poisson", "gamma"])
def test_mean_rate_is_as_configured(distribution: Distribution) -> None:
    moments = until(Rate(distribution, 200.0, burstiness=0.5), 50.0)
    assert len(moments) == pytest.approx(10_000, rel=0.05)


def test_constant_arrivals_have_equal_gaps() -> None:
    assert until(Rate("constant", 4.0), 1.3) == [0.25, 0.5, 0.75, 1.0, 1.25]


@pytest.mark.slow
def test_gap_variation_follows_the_distribution() -> None:
    assert variation(until(Rate("poisson", 100.0), 200.0)) == pytest.approx(1, abs=0.1)
    bursty = until(Rate("gamma", 100.0, burstiness=0.25), 200.0)
    assert variation(bursty) == pytest.approx(1 / 0.25, rel=0.15)
    even = until(Rate("gamma", 100.0, burstiness=4.0), 200.0)
    assert variation(even) == pytest.approx(1 / 4.0, rel=0.15)


@pytest.mark.parametrize(("start", "end"), [(10.0, 90.0), (90.0, 10.0)])
def test_ramp_changes_the_rate_linearly_then_stays_constant(start: float, end: float) -> None:
    moments = until(Rate("constant", start, end, ramp_s=100.0), 120.0)

    def per_s(first: float, last: float) -> float:
        return sum(first <= moment < last for moment in moments) / (last - first)

    assert per_s(0, 100) == pytest.approx(50, rel=0.01)
    assert per_s(0, 2) == pytest.approx(start, rel=0.15)
    assert per_s(98, 100) == pytest.approx(end, rel=0.15)
    assert per_s(100, 120) == pytest.approx(end, rel=0.01)
