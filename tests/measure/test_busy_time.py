from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.measure.busy_time import BusyTime

NEAR = st.integers(0, 300)
FIRST, INTERVALS = st.tuples(NEAR, NEAR), st.lists(st.tuples(NEAR, NEAR), max_size=30)


class FewIntervals(BusyTime):
    MAX_INTERVALS = 4


def total(kind: type[BusyTime], first: tuple[int, int], others: list[tuple[int, int]]) -> int:
    busy = kind(*sorted(first))
    for start, end in others:
        busy.add(start, end)
    return busy.total_ns


@pytest.mark.slow
@given(FIRST, INTERVALS)
def test_total_is_the_length_of_the_union(
    first: tuple[int, int], others: list[tuple[int, int]]
) -> None:
    """Some end before they start: they are left out."""
    moments = {moment for start, end in [sorted(first), *others] for moment in range(start, end)}
    assert total(BusyTime, first, others) == len(moments)


def reference(first: tuple[int, int], others: list[tuple[int, int]], limit: int) -> int:
    """Return the same as `BusyTime` with at most `limit` intervals, without its shorter ways."""
    begin, older, union = -1, 0, [(min(first), max(first))]
    for interval in others:
        start, end = max(interval[0], begin), interval[1]
        if end < start:
            continue
        merged = [one for one in union if one[0] <= end and one[1] >= start]
        apart = [one for one in union if one not in merged]
        start, end = min([start, *(one[0] for one in merged)]), max([end, *(b for _, b in merged)])
        union = sorted([*apart, (start, end)])
        if len(union) > limit:
            old, union = union[: limit // 2], union[limit // 2 :]
            older += sum(b - a for a, b in old)
            begin = old[-1][1]
    return older + sum(b - a for a, b in union)


@pytest.mark.slow
@given(FIRST, INTERVALS)
def test_old_intervals_are_summed_up_and_later_ones_cut_there(
    first: tuple[int, int], others: list[tuple[int, int]]
) -> None:
    assert total(FewIntervals, first, others) == reference(first, others, 4)


def test_intervals_that_follow_each_other_or_touch_are_counted_once() -> None:
    busy = BusyTime(10, 20)
    busy.add(30, 40)
    busy.add(40, 45)
    busy.add(15, 32)
    busy.add(90, 80)
    assert busy.total_ns == 35
