from __future__ import annotations

import pickle

import numpy as np
import pytest
from pydantic import TypeAdapter

from mlpstorage_bench.measure.clock_offset import ClockOffset, CommonTime
from mlpstorage_bench.measure.coarse_histogram import BUCKETS, Counts
from mlpstorage_bench.measure.series_slots import Phase, Ring, SlotSeries
from mlpstorage_bench.measure.time_series import TimeSeries
from mlpstorage_bench.units import NS_PER_S

S = NS_PER_S
SAME_CLOCK = CommonTime(ClockOffset.none(0), ClockOffset.none(100 * S))


def ahead(ahead_ns: int, uncertainty_ns: int = 0) -> CommonTime:
    offset = ClockOffset(0, ahead_ns, uncertainty_ns)
    return CommonTime(offset, ClockOffset(100 * S, ahead_ns, uncertainty_ns))


def counts(reads: int, writes: int = 0, bucket: int = 40) -> Counts:
    made = np.zeros((2, 2, BUCKETS), dtype=np.int64)
    made[0, :, bucket], made[1, :, bucket] = reads, writes
    return made


def filled(*reads: int, begins_ns: int = 0, slots: int = 8, phase: Phase = "window") -> Ring:
    ring = Ring(phase, begins_ns, slots)
    for second, read in enumerate(reads):
        began_ns = begins_ns + second * S
        ring.add(began_ns, began_ns + S, np.array([100 * read, read]), counts(read))
    return ring


def series(ring: Ring, ends_ns: int, time: CommonTime = SAME_CLOCK) -> SlotSeries:
    slots = ring.until(ends_ns, time)
    return SlotSeries({slots.phase: slots}, time.uncertainty_ns)


def test_each_second_has_its_slot_and_the_last_one_is_short() -> None:
    window = series(filled(3, 0, 5), 5 * S // 2).series().window
    assert window.read_bytes == (300, 0, 500)
    assert window.write_bytes == (3, 0, 5)
    assert (window.reads, window.read_chunks, window.writes) == ((3, 0, 5), (3, 0, 5), (0, 0, 0))
    assert window.read_p95_ms[1] is None
    assert window.slot_lengths_s() == (1.0, 1.0, 0.5)


def test_a_second_that_is_read_late_counts_where_most_of_it_was() -> None:
    ring = Ring("window", 0, 8)
    ring.add(0, S + S // 3, np.array([1, 0]), counts(1))
    ring.add(S + S // 3, 2 * S, np.array([2, 0]), counts(1))
    ring.add(2 * S, 5 * S, np.array([3, 0]), counts(1))  # this process had stood still
    assert series(ring, 5 * S).series().window.read_bytes == (1, 2, 0, 3)


def test_full_ring_has_longer_slots_and_loses_nothing() -> None:
    window = series(filled(*range(20), slots=8), 20 * S).series().window
    assert window.slot_s == 4.0
    assert window.reads == (6, 22, 38, 54, 70)
    assert sum(window.read_bytes) == 100 * sum(range(20))


def test_ranks_are_added_up_where_they_lie_in_rank_0s_time() -> None:
    one = series(filled(1, 2, 3), 3 * S)
    other = series(filled(10, 20, begins_ns=7 * S), 9 * S, ahead(6 * S, 5))
    for first, second in ((one, other), (other, one)):
        pooled = first.merge(pickle.loads(pickle.dumps(second)))  # noqa: S301 - pickled here
        window = pooled.series().window
        assert window.reads == (1, 12, 23)
        assert (window.begins_s, window.ends_s) == (0.0, 3.0)
        assert pooled.uncertainty_ns == 5


def test_sum_leaves_the_slots_of_a_rank_as_they_are() -> None:
    one, other = series(filled(1, 2), 2 * S), series(filled(10, 20, 30, slots=2), 3 * S)
    before = [each.series() for each in (one, other)]
    assert one.merge(other).series() not in before
    assert [each.series() for each in (one, other)] == before


def test_slots_of_different_lengths_are_added_up_in_the_longer() -> None:
    one, other = series(filled(*range(8)), 8 * S), series(filled(*range(20)), 20 * S)
    window = one.merge(other).series().window
    assert window.slot_s == 4.0
    assert window.reads == (12, 44, 38, 54, 70)


def test_phases_are_in_their_order_and_before_the_window() -> None:
    made = series(filled(4, begins_ns=10 * S), 11 * S)
    made = made.merge(series(filled(1, 2, begins_ns=8 * S, phase="warm-up"), 10 * S))
    warm_up, window = made.series().phases
    assert (warm_up.phase, warm_up.begins_s, warm_up.ends_s) == ("warm-up", -2.0, 0.0)
    assert (window.phase, window.begins_s, window.ends_s) == ("window", 0.0, 1.0)


@pytest.mark.parametrize(("most", "slot_s"), [(512, 1.0), (8, 1.0), (4, 2.0), (3, 4.0)])
def test_series_has_so_many_slots_at_most(most: int, slot_s: float) -> None:
    window = series(filled(*range(8)), 8 * S).series(most).window
    assert window.slot_s == slot_s
    assert len(window.reads) <= most
    assert sum(window.reads) == sum(range(8))


def test_series_is_read_back_from_json() -> None:
    made = series(filled(3, 0, 5), 5 * S // 2).series()
    adapter = TypeAdapter(TimeSeries)
    assert adapter.validate_json(adapter.dump_json(made)) == made
