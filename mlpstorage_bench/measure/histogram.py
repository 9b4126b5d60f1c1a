"""Latency histogram with logarithmic groups of linear buckets.

Values are nanoseconds. Each value below 128 has its own bucket; above, every power of two is
divided into 128 equal buckets. The highest set bit of a value (which power of two) and the 7 bits
below it (which of the 128) give its bucket, without a table or a search:

    group   values                 buckets      width of each
      0     0 … 127                0 … 127          1
      1     128 … 255              128 … 255        1
      2     256 … 511              256 … 383        2
      3     512 … 1023             384 … 511        4
      …
     41     2^47 … 2^48 - 1        5248 … 5375      2^40

In group g the width is 2^(g-1) and the smallest value 2^(g+6), so that a bucket is at most 1/128 of
its values wide. A percentile is the middle of its bucket: its error is at most half of that, 0.4 %
of the value, for any distribution. 42 groups reach 2^48 ns, 78 hours, with 5376 counts (42 KiB,
allocated with the first value), and recording is an index and an increment. Larger values count in
the last bucket; the maximum and the sum stay exact.

Adding the counts of two histograms gives the histogram of all their samples: percentiles are pooled
over workers, ranks and trials without loss. This is why latencies are not kept as lists, and why
percentiles are never averaged. (The structure is that of HdrHistogram and of fio's latency
buckets, which have 64 per power of two.)
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mlpstorage_bench.units import NS_PER_MS

BITS = 7
_LINEAR = 1 << BITS
_TOP_BIT = 48
BUCKETS = (_TOP_BIT - BITS + 1) * _LINEAR
_LAST = BUCKETS - 1
_TOP_OF_BUCKET = BITS + 1
"""Highest bits of a value that tell its bucket."""


def bucket_of(value: int) -> int:
    """Return the index of the bucket that counts `value` (ns)."""
    if value < _LINEAR:
        return max(value, 0)
    shift = value.bit_length() - _TOP_OF_BUCKET
    return min(shift * _LINEAR + (value >> shift), _LAST)


def bucket_bounds(index: int) -> tuple[int, int]:
    """Return the smallest and the largest value (ns) that a bucket counts."""
    if index < _LINEAR:
        return index, index
    shift = index // _LINEAR - 1
    low = (_LINEAR + index % _LINEAR) << shift
    return low, low + (1 << shift) - 1


class Histogram:
    """Counts of values in nanoseconds, with their number, sum and extremes exact."""

    __slots__ = ("_counts", "count", "max_ns", "min_ns", "sum_ns")

    def __init__(self) -> None:
        self._counts: array[int] | None = None
        """None before the first value, as most histograms of a run stay empty, and if the histogram
        has only totals. Python adds to an array's item in half the time of one of NumPy."""
        self.count = 0
        self.sum_ns = 0
        self.min_ns = 0
        self.max_ns = 0

    def record(self, value_ns: int) -> None:
        """Count a value; values beyond the last bucket count in it."""
        if value_ns < _LINEAR:  # as in `bucket_of`, without a call: lanes record all the time
            index = max(value_ns, 0)
        else:
            shift = value_ns.bit_length() - _TOP_OF_BUCKET
            index = (shift << BITS) + (value_ns >> shift)
            if index > _LAST:  # noqa: PLR1730 - calling min takes longer
                index = _LAST
        counts = self._counts
        if counts is None:
            counts = self._begin(value_ns)
        counts[index] += 1
        if value_ns > self.max_ns:
            self.max_ns = value_ns
        elif value_ns < self.min_ns:
            self.min_ns = value_ns
        self.count += 1
        self.sum_ns += value_ns

    def _begin(self, value_ns: int) -> array[int]:
        """Return the counts, which are all 0, before the first value is counted."""
        if self.count == 0:
            self.min_ns = value_ns
        counts = self._counts = array("q", bytes(8 * BUCKETS))
        return counts

    def merge(self, other: Histogram) -> None:
        """Add the other histogram's counts."""
        if other.count == 0:
            return
        if other._counts is None or (self.count and self._counts is None):
            self._counts = None
        elif self._counts is None:
            self._counts = other._counts[:]
        else:
            mine = _view(self._counts)
            mine += _view(other._counts)
        self.min_ns = min(self.min_ns, other.min_ns) if self.count else other.min_ns
        self.max_ns = max(self.max_ns, other.max_ns)
        self.count += other.count
        self.sum_ns += other.sum_ns

    def add_to(self, total: NDArray[np.int64]) -> None:
        """Add the counts to those of an array of `BUCKETS`.

        Another thread may record meanwhile: its value is added now, or at the next call.
        """
        if self._counts is not None:
            filled = slice(bucket_of(self.min_ns), bucket_of(self.max_ns) + 1)
            total[filled] += _view(self._counts)[filled]

    def percentile_ns(self, percent: float) -> float | None:
        """Return the value (ns) that `percent` % of the samples do not exceed; None without any."""
        if not 0 <= percent <= 100:  # noqa: PLR2004 - range of a percentage
            raise ValueError(f"percent: got {percent}; accepted: 0 to 100")
        if self.count == 0:
            return None
        if self._counts is None:
            raise ValueError("percentile: this histogram has totals only")
        rank = max(1, math.ceil(Fraction(str(percent)) * self.count / 100))  # floats are off by one
        index = int(np.searchsorted(np.cumsum(_view(self._counts)), rank))
        low, high = bucket_bounds(index)
        return float(min(max((low + high) / 2, self.min_ns), self.max_ns))

    def percentile_ms(self, percent: float) -> float | None:
        """Return a percentile in milliseconds."""
        value = self.percentile_ns(percent)
        return None if value is None else value / NS_PER_MS

    def mean_ms(self) -> float | None:
        """Return the exact mean in milliseconds; None without samples."""
        return self.sum_ns / self.count / NS_PER_MS if self.count else None

    def totals(self) -> Histogram:
        """Return a histogram with number, sum and extremes only."""
        totals = Histogram()
        totals._set_totals(self.count, self.sum_ns, self.min_ns, self.max_ns)
        return totals

    def _set_totals(self, count: int, sum_ns: int, min_ns: int, max_ns: int) -> None:
        self.count, self.sum_ns, self.min_ns, self.max_ns = count, sum_ns, min_ns, max_ns

    def _filled(self) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
        """Return indices and counts of the non-empty buckets."""
        if self._counts is None:
            return np.zeros(0, dtype=np.uint16), np.zeros(0, dtype=np.int64)
        counts = _view(self._counts)
        indices = np.flatnonzero(counts)
        return indices.astype(np.uint16), counts[indices]

    def to_dict(self) -> dict[str, Any]:
        """Return the histogram for JSON; "buckets" lists non-empty ones as `index:count`."""
        indices, counts = self._filled()
        filled = zip(indices.tolist(), counts.tolist(), strict=True)
        return {
            "unit": "ns",
            "bits": BITS,
            "count": self.count,
            "sum": self.sum_ns,
            "min": self.min_ns,
            "max": self.max_ns,
            "buckets": " ".join(f"{index}:{count}" for index, count in filled),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Return the histogram from the result of `to_dict`."""
        if content["unit"] != "ns" or content["bits"] != BITS:
            raise ValueError(
                f"histogram of {content['unit']} with {content['bits']} bits; accepted: ns, {BITS}"
            )
        histogram = cls()
        buckets = [bucket.partition(":") for bucket in content["buckets"].split()]
        if buckets:
            histogram._counts = array("q", bytes(8 * BUCKETS))
            for index, _, count in buckets:
                histogram._counts[int(index)] += int(count)
        totals = (content[name] for name in ("count", "sum", "min", "max"))
        histogram._set_totals(*totals)
        return histogram

    @classmethod
    def from_filled(cls, totals: tuple[int, int, int, int], indices: bytes, counts: bytes) -> Self:
        """Return a histogram from its totals and non-zero counts, as another rank sends them."""
        histogram = cls()
        histogram._set_totals(*totals)
        if indices:
            histogram._counts = array("q", bytes(8 * BUCKETS))
            filled = np.frombuffer(indices, np.uint16)
            _view(histogram._counts)[filled] = np.frombuffer(counts, np.int64)
        return histogram

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[Any, ...]]:
        """Pickle only the non-zero counts: small to send between ranks."""
        indices, counts = self._filled()
        totals = (self.count, self.sum_ns, self.min_ns, self.max_ns)
        return type(self).from_filled, (totals, indices.tobytes(), counts.tobytes())

    @classmethod
    def pooled(cls, histograms: Iterable[Histogram]) -> Self:
        """Return the histogram of all samples of all histograms."""
        pool = cls()
        for histogram in histograms:
            pool.merge(histogram)
        return pool


def _view(counts: array[int]) -> NDArray[np.int64]:
    """Return the same memory as an array of NumPy."""
    return np.frombuffer(counts, np.int64)
