"""Latency counts in 128 buckets, small enough to keep a set of them for every second.

Each power of two from 2^10 to 2^42 ns (1 µs to 73 min) is divided into 4 equal buckets; smaller
values count in the first one, larger values in the last. A bucket is 32 neighbouring buckets of
`Histogram`, so that a lane's complete histogram becomes a coarse one by additions alone, at any
moment, and a lane counts nothing twice. A percentile is interpolated in its bucket, which is a
quarter of its values wide at most: that is the bound on its error.

Counts of several lanes, ranks or seconds are added up without loss.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlpstorage_bench.measure.histogram import bucket_bounds, bucket_of

BUCKETS = 128
_FINE_PER_BUCKET = 32
_SMALLEST_NS = 1 << 10
_FIRST_FINE = bucket_of(_SMALLEST_NS)
_BITS = 2
_TOP_OF_BUCKET = _BITS + 1
"""Highest bits of a value that tell its bucket."""
_OF_SMALLEST = ((_SMALLEST_NS.bit_length() - _TOP_OF_BUCKET) << _BITS) + (1 << _BITS)
_STARTS = np.array(
    [0, *(_FIRST_FINE + _FINE_PER_BUCKET * number for number in range(1, BUCKETS))], dtype=np.intp
)
"""First bucket of `Histogram` in each bucket."""
_BOUNDS_NS = (*(bucket_bounds(int(start))[0] for start in _STARTS), 1 << 42)
"""Smallest value of each bucket, and the end of the last one."""
_PERCENT = 100

Counts = NDArray[np.int64]
"""Counts of values by bucket, in the last axis."""


def coarse(fine: Counts) -> Counts:
    """Return the coarse counts of all buckets of a `Histogram`."""
    return np.add.reduceat(fine, _STARTS)


def coarse_bucket_of(value_ns: int) -> int:
    """Return the index of the coarse bucket that counts a value."""
    if value_ns < _SMALLEST_NS:
        return 0
    shift = value_ns.bit_length() - _TOP_OF_BUCKET
    index = (shift << _BITS) + (value_ns >> shift) - _OF_SMALLEST
    return index if index < BUCKETS else BUCKETS - 1


def percentile_ns(counts: Counts, percent: float) -> float | None:
    """Return the value that `percent` % of the samples do not exceed; None without any."""
    total = int(counts.sum())
    if not total:
        return None
    rank = max(1, math.ceil(percent * total / _PERCENT))
    upto = np.cumsum(counts)
    index = int(np.searchsorted(upto, rank))
    low, high = _BOUNDS_NS[index], _BOUNDS_NS[index + 1]
    within = int(counts[index])
    position = (rank - (int(upto[index]) - within) - 0.5) / within
    return low + position * (high - low)


class CoarseCounter:
    """Coarse counts of values that are recorded one by one."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def record(self, value_ns: int) -> None:
        """Count a value."""
        index = coarse_bucket_of(value_ns)
        self._counts[index] = self._counts.get(index, 0) + 1

    def add_to(self, total: Counts) -> None:
        """Add the counts to those of an array; another thread may record meanwhile."""
        for index, count in list(self._counts.items()):
            total[index] += count
