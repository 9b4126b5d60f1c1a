"""Time during which at least one of several transfers was in progress."""

from __future__ import annotations

_LONG_AGO_NS = -(1 << 63)


class BusyTime:
    """Length of a union of intervals, which are added approximately in the order of their ends.

    Old intervals are summed up, so that memory does not grow with the number of chunks. The result
    is exact unless one chunk is in flight while hundreds of others follow each other.
    """

    MAX_INTERVALS = 512

    __slots__ = ("_begin_ns", "_end", "_intervals", "_older_ns", "_start")

    def __init__(self, start: int, end: int) -> None:
        """Begin with a first interval, which does not end before it starts."""
        self._start, self._end = start, end
        """The last of the disjoint intervals."""
        self._intervals: list[tuple[int, int]] = []
        """The others, in order."""
        self._older_ns = 0
        """Total length of older intervals."""
        self._begin_ns = _LONG_AGO_NS
        """Time up to which intervals are summed up."""

    def add(self, start: int, end: int) -> None:
        """Add an interval; one that ends before it starts is left out."""
        if start >= self._start:  # nearly always: it reaches no interval but the last
            if start <= self._end:
                self._end = max(self._end, end)
            elif start <= end:
                self._intervals.append((self._start, self._end))
                self._start, self._end = start, end
                self._sum_up()
            return
        start = max(start, self._begin_ns)
        if start <= end:
            self._add_early(start, end)

    def _add_early(self, start: int, end: int) -> None:
        """Add an interval that starts before the last one."""
        intervals = self._intervals
        intervals.append((self._start, self._end))
        later = []
        while intervals and intervals[-1][1] >= start:
            other_start, other_end = intervals.pop()
            if other_start > end:
                later.append((other_start, other_end))
            else:
                start, end = min(start, other_start), max(end, other_end)
        intervals.append((start, end))
        intervals += reversed(later)
        self._start, self._end = intervals.pop()
        self._sum_up()

    def _sum_up(self) -> None:
        """Sum up the older half of the intervals if there are too many."""
        if len(self._intervals) >= self.MAX_INTERVALS:
            old = self._intervals[: self.MAX_INTERVALS // 2]
            del self._intervals[: self.MAX_INTERVALS // 2]
            self._older_ns += sum(end - start for start, end in old)
            self._begin_ns = old[-1][1]

    @property
    def total_ns(self) -> int:
        """Length of the union."""
        older_ns = self._older_ns + sum(end - start for start, end in self._intervals)
        return older_ns + self._end - self._start
