from __future__ import annotations

import json
import math
import pickle
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.measure.histogram import BUCKETS, Histogram, bucket_bounds, bucket_of

latencies = st.integers(0, 2**47)
samples = st.lists(latencies, min_size=1, max_size=200)


def of(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


@pytest.mark.slow
@given(latencies)
def test_bucket_contains_its_value_and_is_at_most_a_128th_wide(value: int) -> None:
    low, high = bucket_bounds(bucket_of(value))
    assert low <= value <= high
    assert (high - low) <= low / 128


@given(latencies, latencies)
def test_bucket_order_follows_value_order(one: int, other: int) -> None:
    assert (bucket_of(min(one, other))) <= bucket_of(max(one, other))


def test_adjacent_buckets_have_no_gap() -> None:
    for index in range(bucket_of(2**47)):
        assert bucket_bounds(index)[1] + 1 == bucket_bounds(index + 1)[0]


@pytest.mark.slow
@given(samples, st.floats(0, 100))
def test_percentile_error_is_within_08_percent(values: list[int], percent: float) -> None:
    rank = max(1, math.ceil(Fraction(str(percent)) * len(values) / 100))
    exact = sorted(values)[rank - 1]
    assert of(values).percentile_ns(percent) == pytest.approx(exact, rel=0.008)


def test_percentile_rank_has_no_floating_point_error() -> None:
    assert of([10**6] * 999 + [10**10]).percentile_ns(99.9) == pytest.approx(10**6, rel=0.008)
    assert of([10**6] * 9999 + [10**10]).percentile_ns(99.99) == pytest.approx(10**6, rel=0.008)
    assert of([10**6] * 998 + [10**10] * 2).percentile_ns(99.9) == pytest.approx(10**10, rel=0.008)


def test_wait_of_a_day_is_within_the_buckets() -> None:
    day_ns = 86_400 * 10**9
    assert of([1, day_ns, 2 * day_ns]).percentile_ns(50) == pytest.approx(day_ns, rel=0.008)


@pytest.mark.slow
@given(samples, samples)
def test_merged_histogram_equals_recording_all_samples(first: list[int], second: list[int]) -> None:
    merged = of(first)
    merged.merge(of(second))
    assert merged.to_dict() == of(first + second).to_dict()
    assert Histogram.pooled([of(first), of(second)]).to_dict() == merged.to_dict()


@pytest.mark.slow
@given(samples)
def test_json_round_trip_keeps_the_histogram(values: list[int]) -> None:
    histogram = of(values)
    content = json.loads(json.dumps(histogram.to_dict()))
    assert Histogram.from_dict(content).to_dict() == histogram.to_dict()


def made_up() -> list[int]:
    return [*map(int, np.random.default_rng(7).lognormal(14, 1.5, 50_000))]


def of_real_writes() -> list[int]:
    values = []
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(5000):
            started = time.perf_counter_ns()
            file.write(bytes(2**16))
            values.append(time.perf_counter_ns() - started)
            if len(values) % 500 == 0:
                file.seek(0)
    return values


@pytest.mark.slow
@pytest.mark.parametrize("latencies", [made_up, of_real_writes])
def test_percentiles_agree_with_hdr_histogram(latencies: Callable[[], list[int]]) -> None:
    values = latencies()
    oracle = HdrHistogram(1, 2**42, 3)
    for value in values:
        oracle.record_value(value)
    histogram = of(values)
    for percent in (1, 25, 50, 90, 95, 99, 99.9, 99.99, 100):
        expected = oracle.get_value_at_percentile(percent)
        assert histogram.percentile_ns(percent) == pytest.approx(expected, rel=0.008)


def test_count_sum_and_extremes_are_exact() -> None:
    histogram = of([1_000_001, 3_000_003])
    assert (histogram.count, histogram.min_ns, histogram.max_ns) == (2, 1_000_001, 3_000_003)
    assert histogram.mean_ms() == 2.000002


def test_empty_histogram_has_no_percentiles() -> None:
    assert (Histogram().percentile_ms(95), Histogram().mean_ms()) == (None, None)


def test_json_with_other_unit_is_refused() -> None:
    content = {**Histogram().to_dict(), "unit": "ms"}
    with pytest.raises(ValueError, match="histogram of ms"):
        Histogram.from_dict(content)


@pytest.mark.slow
@given(samples)
def test_pickle_round_trip_keeps_the_histogram(values: list[int]) -> None:
    assert pickle.loads(pickle.dumps(of(values))).to_dict() == of(values).to_dict()  # noqa: S301


def test_pickle_size_depends_on_filled_buckets_only() -> None:
    few, many = of(list(range(1000, 2000, 10))), of(list(range(1000, 2000, 10)) * 50)
    assert len(pickle.dumps(many)) <= len(pickle.dumps(few)) + 16
    assert len(pickle.dumps(many)) < 2000


@pytest.mark.slow
@given(samples, samples)
def test_totals_merge_like_histograms_without_percentiles(
    first: list[int], second: list[int]
) -> None:
    totals, whole = of(first).totals(), of(first + second)
    totals.merge(of(second))
    assert (totals.count, totals.sum_ns, totals.min_ns, totals.max_ns) == (
        *(whole.count, whole.sum_ns, whole.min_ns, whole.max_ns),
    )
    with pytest.raises(ValueError, match="totals only"):
        totals.percentile_ns(50)


def counts(histogram: Histogram) -> list[int]:
    total = np.zeros(BUCKETS, dtype=np.int64)
    histogram.add_to(total)
    return total.tolist()


@pytest.mark.slow
@given(st.lists(st.integers(-5, 2**52) | st.integers(0, 52).map(lambda bits: (1 << bits) - 1)))
def test_each_value_is_counted_in_its_bucket(values: list[int]) -> None:
    histogram, expected = of(values), [0] * BUCKETS
    for value in values:
        expected[bucket_of(value)] += 1
    assert counts(histogram) == expected
    assert (histogram.count, histogram.sum_ns) == (len(values), sum(values))
    assert histogram.min_ns == min(values, default=0)
    assert histogram.max_ns == max([0, *values])


@pytest.mark.slow
def test_another_thread_reads_while_values_are_recorded() -> None:
    histogram, is_over = Histogram(), threading.Event()
    totals: list[int] = []

    def read() -> None:
        while not is_over.is_set():
            totals.append(sum(counts(histogram)))

    reader = threading.Thread(target=read)
    reader.start()
    for value in range(0, 2_000_000, 500):
        histogram.record(value)
    is_over.set()
    reader.join()
    assert totals == sorted(totals)
    assert sum(counts(histogram)) == 4000


def test_values_are_recorded_while_the_counts_of_a_merge_are_apart() -> None:
    """A copy of counts must not be the same memory."""
    one, other = of([1000]), Histogram()
    other.merge(one)
    one.record(1000)
    assert (sum(counts(one)), sum(counts(other))) == (2, 1)
