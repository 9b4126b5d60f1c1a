from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.measure.coarse_histogram import (
    BUCKETS,
    CoarseCounter,
    coarse,
    percentile_ns,
)
from mlpstorage_bench.measure.histogram import BUCKETS as FINE_BUCKETS
from mlpstorage_bench.measure.histogram import Histogram

VALUES = st.lists(st.integers(0, 1 << 50), max_size=60)


def coarse_of(histogram: Histogram) -> np.ndarray:
    fine = np.zeros(FINE_BUCKETS, dtype=np.int64)
    histogram.add_to(fine)
    return coarse(fine)


@pytest.mark.slow
@given(VALUES)
def test_counts_of_a_histogram_and_of_single_values_are_equal(values: list[int]) -> None:
    fine, counter = Histogram(), CoarseCounter()
    for value in values:
        fine.record(value)
        counter.record(value)
    counted = np.zeros(BUCKETS, dtype=np.int64)
    counter.add_to(counted)
    assert coarse_of(fine).tolist() == counted.tolist()
    assert counted.sum() == len(values)


@pytest.mark.slow
@given(st.lists(st.integers(1 << 11, 1 << 41), min_size=1, max_size=60), st.integers(1, 100))
def test_percentile_is_off_by_a_quarter_at_most(values: list[int], percent: int) -> None:
    counter, counts = CoarseCounter(), np.zeros(BUCKETS, dtype=np.int64)
    for value in values:
        counter.record(value)
    counter.add_to(counts)
    exact = sorted(values)[math.ceil(percent * len(values) / 100) - 1]
    got = percentile_ns(counts, percent)
    assert got is not None
    assert abs(got - exact) <= exact / 4


def test_percentile_without_samples_is_none() -> None:
    assert percentile_ns(np.zeros(BUCKETS, dtype=np.int64), 95) is None
