"""Requests in flight at the start and at the end of a window."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.kvcache.config.request_counters import EndedRequest, RequestCounters
from mlpstorage_bench.kvcache.workload.users import QOS_CLASSES
from mlpstorage_bench.measure.window import Window
from tests.trials import trial


def ended(taken_ns: int, ended_ns: int, window: Window) -> RequestCounters:
    statistics = RequestCounters()
    request = EndedRequest(0, taken_ns, taken_ns, ended_ns, 10, 1, QOS_CLASSES[0])
    request.add_to(statistics, window)
    return statistics


def test_request_is_in_flight_at_edges_between_its_start_and_its_answer() -> None:
    window = Window()
    window.opened_ns, window.closes_ns = 100, 200
    seen = {
        (taken, answered): (one.in_flight_at_open, one.requests, one.in_flight_at_close)
        for taken, answered in ((10, 99), (10, 150), (99, 100), (10, 300), (150, 200), (200, 300))
        for one in [ended(taken, answered, window)]
    }
    assert seen == {
        (10, 99): (0, 0, 0),
        (10, 150): (1, 1, 0),
        (99, 100): (1, 1, 0),
        (10, 300): (1, 0, 1),
        (150, 200): (0, 0, 1),
        (200, 300): (0, 0, 0),
    }


@pytest.mark.slow
def test_requests_cut_off_by_the_trial_end_are_counted(tmp_path: Path) -> None:
    result = trial(tmp_path, entry_scale=0.1, think_time_scale=0.0, max_concurrent_allocs=2)
    assert 1 <= result.requests.in_flight_at_close <= 2
    operations = sum(operation.in_flight_at_close for operation in result.operations.values())
    assert operations <= 2


@pytest.mark.slow
def test_requests_answered_after_the_window_are_counted(tmp_path: Path) -> None:
    slow = trial(tmp_path, generation_mode="realistic", num_users=6, think_time_scale=0.0)
    assert slow.requests.in_flight_at_close == 6
