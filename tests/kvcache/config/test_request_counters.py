"""Times of requests, from due time to the end of the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.kvcache.config.request_counters import EndedRequest, RequestCounters
from mlpstorage_bench.kvcache.workload.users import QOS_CLASSES
from mlpstorage_bench.measure.window import Window
from tests.trials import served

MS = 1_000_000


def test_spans_of_a_request_are_differences_of_its_times() -> None:
    window, statistics = Window(), RequestCounters()
    window.open(1.0, at_ns=0)
    EndedRequest(10 * MS, 30 * MS, 70 * MS, 150 * MS, 100, 20, QOS_CLASSES[0]).add_to(
        statistics, window
    )
    assert statistics.latency.sum_ns == (150 - 10) * MS
    assert statistics.queue_wait.sum_ns == (30 - 10) * MS
    assert statistics.cache_io.sum_ns == (70 - 30) * MS
    assert statistics.generation.sum_ns == (150 - 70) * MS
    (of_class,) = statistics.classes.values()
    assert of_class.latency.sum_ns == (150 - 10) * MS


@pytest.mark.slow
def test_queue_wait_exceeds_cache_time_with_one_lane(
    tmp_path: Path,
) -> None:
    requests = served(tmp_path, max_concurrent_allocs=1, think_time_scale=0.0).requests
    parts = (requests.queue_wait, requests.cache_io, requests.generation)
    assert requests.latency.count == requests.requests > 0
    assert requests.latency.sum_ns == sum(part.sum_ns for part in parts)
    assert requests.queue_wait.sum_ns > 2 * requests.cache_io.sum_ns  # five of six users wait
