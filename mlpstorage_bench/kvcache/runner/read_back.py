"""Check of a sample of what a trial has written, after a window in which nothing was verified."""

from __future__ import annotations

import itertools
import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence

from mlpstorage_bench.errors import CorruptDataError, StorageError
from mlpstorage_bench.kvcache.cache.tier import Tier
from mlpstorage_bench.kvcache.config.block_layout import chunking
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.rank_trial import ReadBack
from mlpstorage_bench.measure.operation_statistics import (
    STORAGE_TIER,
    OperationKey,
    OperationStatistics,
)
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.store import StoredEntry
from mlpstorage_bench.units import GIB


class _Checks:
    """Observer that counts the checks, and no time: the window has closed."""

    def __init__(self) -> None:
        self.checked = 0

    def chunk(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        """Do nothing."""

    def cached(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        """Do nothing."""

    def durable(
        self, started_ns: int, ended_ns: int, cached_bytes: int = 0, late_ns: int = 0
    ) -> None:
        """Do nothing."""

    def verified(self, started_ns: int, ended_ns: int) -> None:
        """Count a successful check."""
        del started_ns, ended_ns
        self.checked += 1


def has_verified(operations: Mapping[OperationKey, OperationStatistics]) -> bool:
    """Return whether the content of any chunk from storage was checked within the window."""
    return any(
        operation.verified_chunks
        for key, operation in operations.items()
        if key.tier == STORAGE_TIER
    )


def read_back(
    workload: Workload, tier: Tier, lane: Lane, seed: int, check_interrupts: Callable[[], None]
) -> ReadBack | None:
    """Read and check chunks of the tier's entries, drawn by the seed, up to `read_back_gb`.

    None if nothing can be checked. `check_interrupts` is called before each chunk. A chunk that
    cannot be read ends the check: its error is in the result.
    """
    entries = [one.entry for one in tier.residents.values() if one.entry.digests]
    most_bytes = workload.read_back_gb * GIB
    if not entries or not most_bytes or not tier.store.stores_data:
        return None
    lane.stopping.clear()  # no other lane works any more
    observer, corrupt, corruption = _Checks(), 0, ""
    for entry, number in _sample(workload, entries, most_bytes, seed):
        check_interrupts()
        try:
            lane.check_chunk(tier.store, entry, number, observer)
        except CorruptDataError as error:
            corrupt += 1
            corruption = corruption or str(error)
        except StorageError as error:
            error.add_note("It was found after the window, when a sample of the data was read back")
            return ReadBack(observer.checked, corrupt, corruption, failure=error)
    return ReadBack(observer.checked, corrupt, corruption)


def _sample(
    workload: Workload, entries: Sequence[StoredEntry], most_bytes: float, seed: int
) -> Iterator[tuple[StoredEntry, int]]:
    """Yield entries with the number of a chunk: one or more, each chunk once, in their order."""
    division = chunking(workload)
    ends = list(itertools.accumulate(division.count(entry.size) for entry in entries))
    count = max(1, min(ends[-1], int(most_bytes // division.chunk_bytes)))
    draws = random.Random(seed)  # noqa: S311 - a sample, not a secret
    for drawn in sorted(draws.sample(range(ends[-1]), count)):
        at = bisect_right(ends, drawn)
        yield entries[at], drawn - (ends[at - 1] if at else 0)
