"""Clock offsets on simulated clocks: errors never exceed the stated uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.measure.clock_offset import (
    LEAST_EXCHANGES,
    MOST_EXCHANGES,
    ClockOffset,
    CommonTime,
    Exchange,
    WindowEdges,
    has_enough,
    spread_ns,
)

US = 1_000
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Clock:
    """Clock with an offset from rank 0's and a constant drift."""

    ahead_ns: int
    drift_ppm: int

    def at(self, true_ns: int) -> int:
        return true_ns + self.ahead_ns + true_ns * self.drift_ppm // 1_000_000

    def exchange(self, true_ns: int, there_ns: int, back_ns: int) -> Exchange:
        return Exchange(true_ns, self.at(true_ns + there_ns), true_ns + there_ns + back_ns)


clocks = st.builds(Clock, st.integers(-(10**15), 10**15), st.integers(-100, 100))
delays = st.lists(
    st.tuples(st.integers(0, 5_000 * US), st.integers(0, 5_000 * US)), min_size=1, max_size=20
)


def offset(clock: Clock, true_ns: int, round_trips: list[tuple[int, int]]) -> ClockOffset:
    exchanges = []
    for there_ns, back_ns in round_trips:
        exchanges.append(clock.exchange(true_ns, there_ns, back_ns))
        true_ns += there_ns + back_ns + US
    return ClockOffset.of(exchanges)


@pytest.mark.slow
@given(clocks, delays)
def test_offset_error_is_within_uncertainty_for_asymmetric_delays(
    clock: Clock, round_trips: list[tuple[int, int]]
) -> None:
    seen = offset(Clock(clock.ahead_ns, 0), SECOND, round_trips)
    assert abs(seen.ahead_ns - clock.ahead_ns) <= seen.uncertainty_ns


@pytest.mark.slow
@given(clocks, delays)
def test_uncertainty_is_half_of_the_shortest_round_trip(
    clock: Clock, round_trips: list[tuple[int, int]]
) -> None:
    shortest = min(there + back for there, back in round_trips)
    assert offset(clock, 0, round_trips).uncertainty_ns == (shortest + 1) // 2


@pytest.mark.slow
@given(clocks, delays, delays, st.integers(0, 300 * SECOND))
def test_conversion_error_is_within_uncertainty_despite_drift(
    clock: Clock, before: list[tuple[int, int]], after: list[tuple[int, int]], moment_ns: int
) -> None:
    time = CommonTime(offset(clock, 0, before), offset(clock, 301 * SECOND, after))
    true_ns = SECOND + moment_ns
    drift_within_an_exchange_ns = 10_000 * US * 20 * 100 // 1_000_000 + 3
    assert abs(time.of(clock.at(true_ns)) - true_ns) <= (
        time.uncertainty_ns + drift_within_an_exchange_ns
    )


def test_window_edges_differ_by_offset_error_and_drift() -> None:
    agreed_ns, length_ns = 20 * SECOND, 5 * SECOND
    edges = []
    for clock in (Clock(0, 0), Clock(7 * SECOND, 40), Clock(-(10**15), -40)):
        before = offset(clock, 19 * SECOND, [(90 * US, 10 * US), (400 * US, 900 * US)])
        opened_ns = agreed_ns + before.ahead_ns
        after = offset(clock, 26 * SECOND, [(30 * US, 30 * US)])
        edges.append(WindowEdges.of(opened_ns, opened_ns + length_ns, CommonTime(before, after)))
    opening = spread_ns([edge.opened_ns for edge in edges])
    closing = spread_ns([edge.closed_ns for edge in edges])
    drift_us_per_s = 80  # between the last two clocks
    assert opening == pytest.approx(1 * drift_us_per_s * US, rel=0.01)
    assert closing == pytest.approx((1 + 5) * drift_us_per_s * US, rel=0.01)
    assert max(edge.uncertainty_ns for edge in edges) == 50 * US


def test_exchanges_stop_after_a_fast_one_or_the_maximum() -> None:
    slow, quick = Exchange(0, 0, 900 * US), Exchange(0, 0, 10 * US)
    assert not has_enough([quick] * (LEAST_EXCHANGES - 1))
    assert has_enough([quick] * LEAST_EXCHANGES)
    assert not has_enough([slow] * LEAST_EXCHANGES)
    assert has_enough([slow] * LEAST_EXCHANGES + [quick])
    assert has_enough([slow] * MOST_EXCHANGES)


def test_spread_without_moments_is_none() -> None:
    assert spread_ns([]) is None
    assert spread_ns([5]) == 0
