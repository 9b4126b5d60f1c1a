"""The order in which a loader with workers reads batches, and hands them out.

It is that of PyTorch's DataLoader. Batch b is read by worker b mod W. At the start of an epoch each
worker is given `prefetch_factor` batches; each batch that the training takes lets one more be read.
Batches are handed out in their order, whichever worker is quickest: one that is read early waits.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass
class LoaderOrder:
    """State of a loader in one epoch: which batches may be read, are read, and were taken."""

    workers: int
    prefetch_factor: int
    batches: int
    taken: int = 0
    """Batches that the training has taken."""
    _given: int = 0
    """Batches that were given to workers."""
    _tasks: list[deque[int]] = field(default_factory=list)
    """Batches that each worker is to read, in order."""
    _read: set[int] = field(default_factory=set)
    """Batches that are read, and not taken yet."""

    def __post_init__(self) -> None:
        self._tasks = [deque() for _ in range(self.workers)]
        for _ in range(self.workers * self.prefetch_factor):
            self._give()

    def _give(self) -> None:
        """Give the next batch to the worker whose turn it is."""
        if self._given < self.batches:
            self._tasks[self._given % self.workers].append(self._given)
            self._given += 1

    def next_task(self, worker: int) -> int | None:
        """Return the batch that a worker is to read now; None if it has to wait."""
        return self._tasks[worker].popleft() if self._tasks[worker] else None

    def has_tasks_for(self, worker: int) -> bool:
        """Return whether a worker gets more batches, now or later."""
        if self._tasks[worker]:
            return True
        return self._given + (worker - self._given) % self.workers < self.batches

    def finished(self, batch: int) -> None:
        """Record that a worker has read a batch."""
        self._read.add(batch)

    @property
    def is_next_ready(self) -> bool:
        """Whether the batch that the training takes next is read."""
        return self.taken in self._read

    @property
    def ready(self) -> int:
        """Number of batches that are read, and not taken yet."""
        return len(self._read)

    def take(self) -> int:
        """Hand out the next batch, which is read, and give one more to a worker."""
        batch = self.taken
        self._read.remove(batch)
        self.taken += 1
        self._give()
        return batch
