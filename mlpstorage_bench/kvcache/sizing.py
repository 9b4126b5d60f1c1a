"""Space that a workload needs, computed from its requests without averages.

Time limits the data that a rank writes in a trial (`RequestTally`). Without think time and
generation time, only the capacities of the tiers limit it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlpstorage_bench.errors import CapacityError
from mlpstorage_bench.kvcache.cache.tier import LARGEST_ENTRY, TARGET_USAGE
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.request_tally import RequestTally
from mlpstorage_bench.storage.buffers import SECTOR_BYTES
from mlpstorage_bench.storage.lane import buffers_for
from mlpstorage_bench.units import GIB, KIB, gib

USABLE_SHARE = 0.8
"""Share of the free space that a run may use if the profile sets no capacity."""
HARNESS_BYTES = 200 << 20
"""Most resident memory of a rank in addition to its buffers and memory tiers."""
MOST_USERS = 1000
"""Upper limit of the search for users that fit."""
MOST_REQUESTS_OF_USERS = 100_000
"""Requests, of all ranks together, after which the search for users that fit leaves out ranks."""


SHOWS_SIZES = "--mlps-datasize shows all sizes"


def not_fitting(problems: Sequence[str]) -> CapacityError:
    """Return the error of a run that does not fit, for these reasons."""
    return CapacityError(f"This run does not fit: {'. '.join(problems)}. {SHOWS_SIZES}")


@dataclass(frozen=True)
class RankSize:
    """Bytes that one rank needs in a trial."""

    written: int | None
    """Most bytes that it writes; None if only capacities limit them."""
    keeps_all: int | None
    """Least storage capacity with which no entry is evicted; None if the entries have no limit."""
    largest_entry: int
    storage_capacity: int
    storage: int
    """Most bytes that it has on storage at once."""
    memory: int
    """Most resident memory: memory tiers, buffers, the harness itself."""
    examined_requests: int

    @property
    def evicts(self) -> bool:
        """Whether entries may have to be evicted."""
        return self.written is None or self.written > TARGET_USAGE * self.storage_capacity

    def problems(
        self, free_storage: int, free_memory: int | None, *, is_in_memory: bool = False
    ) -> list[str]:
        """Return the reasons why the rank cannot run with this free space and memory.

        `free_memory` is None if unknown. `is_in_memory`: its cache files are in memory, too.
        """
        problems = []
        if self.storage > free_storage:
            problems.append(
                f"storage: up to {gib(self.storage)} GiB, but {gib(free_storage)} are free. Lower "
                "storage_capacity_gb, num_users or duration, or use a larger filesystem"
            )
        if self.largest_entry > LARGEST_ENTRY * self.storage_capacity:
            problems.append(
                f"an entry of {gib(self.largest_entry)} GiB does not fit a capacity of "
                f"{gib(self.storage_capacity)}. {self._advice_on_capacity(free_storage)}"
            )
        memory = self.memory + self.storage * is_in_memory
        if free_memory is not None and memory > free_memory:
            what = ", with the cache, which is in memory" if is_in_memory else ""
            problems.append(
                f"memory: up to {gib(memory)} GiB{what}, but {gib(free_memory)} are free. Lower "
                "cpu_mem_gb, gpu_mem_gb, max_concurrent_allocs, chunks_in_flight or io_chunk_kib, "
                "or use fewer ranks on each host"
            )
        return problems

    def _advice_on_capacity(self, free_storage: int) -> str:
        needed_gib = math.ceil(100 * self.largest_entry / LARGEST_ENTRY / GIB) / 100
        if needed_gib * GIB <= free_storage:
            return f"Raise storage_capacity_gb to {needed_gib:.2f} or more"
        return (
            f"Use a filesystem with more than {gib(free_storage)} GiB free, and raise "
            f"storage_capacity_gb to {needed_gib:.2f} or more; or lower entry_scale, or "
            "tokens_per_block with layout slab"
        )


def size_of_rank(
    part: RankWorkload,
    free_storage: int,
    alignment_bytes: int = SECTOR_BYTES,
    *,
    until_full: bool = False,
) -> RankSize:
    """Return the bytes that a rank needs, given the free bytes of storage.

    With `until_full`, requests are not examined to the last once their entries exceed every tier:
    what is in the tiers is then known, and what is written stays unknown (None).
    """
    workload = part.workload
    capacity = storage_capacity(workload, free_storage)
    source = part.request_source()
    tiers = sum(round(gb * GIB) for gb in (workload.gpu_mem_gb, workload.cpu_mem_gb))
    tally = RequestTally(workload, alignment_bytes, max(capacity, tiers) if until_full else None)
    if workload.precondition != "none":
        tally.precondition(capacity)
    tally.prepare(source)
    is_bounded = tally.add_requests(source)
    distinct = tally.total if is_bounded else None
    at_once = capacity if distinct is None else min(capacity, distinct)
    # shared entries may be written again after eviction: then only capacities limit them
    is_written_once = workload.keyed_by == "turn" and workload.trace_in is None
    stays = distinct is not None and distinct <= TARGET_USAGE * capacity
    written = distinct if stays or is_written_once else None
    limit = None if workload.write_limit_gb is None else round(workload.write_limit_gb * GIB)
    if limit is not None and workload.layout != "slab":
        written = limit if written is None else min(written, limit)
        at_once = min(at_once, limit)
        distinct = limit if distinct is None else min(distinct, limit)
    if workload.precondition != "none" and workload.precondition_gb is None:
        distinct = None  # more capacity would be filled, too
    chunk_bytes = workload.io_chunk_kib * KIB
    in_use = buffers_for(workload.lanes, workload.chunks_in_flight)
    buffers = in_use * chunk_bytes
    if workload.storage == "null":
        tiers = buffers = at_once = 0
    return RankSize(
        written=written,
        keeps_all=None if distinct is None else math.ceil(distinct / TARGET_USAGE),
        largest_entry=tally.largest,
        storage_capacity=capacity,
        storage=at_once,
        memory=(tiers if written is None else min(tiers, written)) + buffers + HARNESS_BYTES,
        examined_requests=tally.requests,
    )


def storage_capacity(workload: Workload, free_storage: int) -> int:
    """Return a rank's capacity on storage: the profile's, or a share of the free space."""
    if workload.storage_capacity_gb is not None:
        return round(workload.storage_capacity_gb * GIB)
    return int(USABLE_SHARE * free_storage)


def users_that_fit(parts: Iterable[RankWorkload], free_storage: int) -> int | None:
    """Return the number of users whose entries all fit the storage of each of these ranks.

    At most MOST_USERS. None if the load does not depend on users: requests arrive at a rate or from
    a trace, or their number is set. Ranks after MOST_REQUESTS_OF_USERS are left out.
    """
    fitting: int | None = None
    examined = 0
    for part in parts:
        own, requests = _users_of_rank(
            part, free_storage, MOST_USERS if fitting is None else fitting
        )
        fitting = own if own is not None else fitting
        examined += requests
        if examined > MOST_REQUESTS_OF_USERS:
            break
    return fitting


def _users_of_rank(part: RankWorkload, free_storage: int, most: int) -> tuple[int | None, int]:
    """Return how many users fit a rank's storage, at most `most`, and the requests examined."""
    workload = part.workload
    capacity = storage_capacity(workload, free_storage)
    source = part.request_source()
    if source.is_open_loop or source.limit is not None or source.conversations is not None:
        return None, 0
    tally = RequestTally(workload)
    for number in range(most):
        alone = dataclasses.replace(source, num_users=1, first_user=source.first_user + number)
        tally.prepare(alone)
        if not tally.add_requests(alone) or tally.total > TARGET_USAGE * capacity:
            return number, tally.requests
    return most, tally.requests
