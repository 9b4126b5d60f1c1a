"""Readings of the kernel's counters, and the transfers that are counted between them."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.measure.operation_statistics import OperationStatistics
from mlpstorage_bench.measure.recorder import EntryObserver
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.trial.counter_probe import UsableCounters
from mlpstorage_bench.trial.window_counters import WindowCounters

THREADS = 8
WINDOWS = 20


class Ends:
    """A thread that completes transfers of one byte in a loop."""

    def __init__(self, window: Window, done: threading.Event) -> None:
        self.moments_ns: list[int] = []
        self.statistics = OperationStatistics()
        self._observer = EntryObserver(self.statistics, window, 0)
        self._done = done
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        while not self._done.is_set():
            now_ns = time.perf_counter_ns()
            self._observer.chunk(1, now_ns, now_ns)
            self.moments_ns.append(now_ns)
            if len(self.moments_ns) % 100 == 0:
                time.sleep(0)  # releases Python's lock, as a system call does


@pytest.mark.slow
def test_transfers_that_end_while_edges_are_read_are_counted_by_them(
    tmp_path: Path,
) -> None:
    counters = UsableCounters(process=True, device=BlockDevice.under(tmp_path))
    for _ in range(WINDOWS):
        window, done = Window(), threading.Event()
        workers = [Ends(window, done) for _ in range(THREADS)]
        before = WindowCounters.at_start(window, counters)
        time.sleep(0.01)
        after = WindowCounters.at_end(window, counters)
        done.set()
        for worker in workers:
            worker.thread.join()
        if before.process is not None and after.process is not None:
            assert window.process_counted.start_ns == before.process.moment_ns
            assert window.process_counted.end_ns == after.process.moment_ns
        for worker in workers:
            seen = (worker.statistics.submitted_bytes, worker.statistics.completed_bytes)
            assert seen == tuple(
                sum(map(interval.contains, worker.moments_ns))
                for interval in (window.process_counted, window.device_counted)
            )
