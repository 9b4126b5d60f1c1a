"""The loader of one rank in one epoch, as its workers and its accelerator share it.

Workers and the accelerator are lanes, of which one runs at a time, so that nothing here is locked.
"""

from __future__ import annotations

import threading

from mlpstorage_bench.storage.lane_waits import WaitList
from mlpstorage_bench.training.workload.loader import LoaderOrder


class BatchLoader:
    """Hands batches to workers to be read, and read batches to the accelerator, in order."""

    def __init__(self, order: LoaderOrder, stopping: threading.Event) -> None:
        self._order = order
        self._stopping = stopping
        self._given = WaitList()
        """Workers that wait for another batch to read."""
        self._ready = WaitList()
        """The accelerator, while the next batch is not read."""

    def next_task(self, worker: int) -> int | None:
        """Return the next batch that a worker is to read; None if there is none in this epoch.

        Waits as long as enough is read ahead. Raises CutOffError if the trial is stopping.
        """
        while True:
            task = self._order.next_task(worker)
            if task is not None or not self._order.has_tasks_for(worker):
                return task
            self._given.wait_unless(self._stopping)

    def finished(self, batch: int) -> None:
        """Record that a worker has read a batch."""
        self._order.finished(batch)
        if self._order.is_next_ready:
            self._ready.notify_all()

    def take(self) -> int:
        """Wait for the next batch and hand it out. Raises CutOffError if the trial is stopping."""
        while not self._order.is_next_ready:
            self._ready.wait_unless(self._stopping)
        batch = self._order.take()
        self._given.notify_all()
        return batch
