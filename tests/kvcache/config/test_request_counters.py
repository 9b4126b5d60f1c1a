"""The times of requests: from when they were due to when they had their answers."""

from __future__ import annotations

from pathlib import Path

from mlpstorage_bench.kvcache.config.request_counters import EndedRequest, RequestCounters
from mlpstorage_bench.kvcache.workload.users import QOS_CLASSES
from mlpstorage_bench.measure.window import Window
from tests.trials import served

MS = 1_000_000


def test_a_request_s_spans_lie_between_its_moments() -> None:
    window, statistics = Window(), RequestCounters()
    window.open(1.0, at_ns=0)
    EndedRequest(10 * MS, 30 * MS, 70 * MS, 150 * MS, 100, 20, QOS_CLASSES[0]).count(
        statistics, window
    )
    assert statistics.latency.sum_ns == (150 - 10) * MS
    assert statistics.queue_wait.sum_ns == (30 - 10) * MS
    assert statistics.cache_io.sum_ns == (70 - 30) * MS
    assert statistics.generation.sum_ns == (150 - 70) * MS
    (of_class,) = statistics.classes.values()
    assert of_class.latency.sum_ns == (150 - 10) * MS


def test_users_who_share_one_lane_wait_for_each_other_more_than_for_the_cache(
    tmp_path: Path,
) -> None:
    requests = served(tmp_path, max_concurrent_allocs=1, think_time_scale=0.0).requests
    parts = (requests.queue_wait, requests.cache_io, requests.generation)
    assert requests.latency.count == requests.requests > 0
    assert requests.latency.sum_ns == sum(part.sum_ns for part in parts)
    assert requests.queue_wait.sum_ns > 2 * requests.cache_io.sum_ns  # of six users, five wait
