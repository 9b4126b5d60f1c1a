"""How much space a workload takes, from the request stream itself: nothing is averaged.

What a rank writes in a trial is bounded by time: no storage is faster than one that answers at
once, and then every user asks as soon as it has thought. Where nothing takes time (no thinking, no
generation), only the tiers' capacities bound it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from mlpstorage_bench.kvcache.cache.tier import LARGEST_ENTRY, TARGET_USAGE
from mlpstorage_bench.kvcache.config.block_layout import block_bytes
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.workload.accesses import CacheGrowth, cache_growth, prepared
from mlpstorage_bench.kvcache.workload.blocks import Block
from mlpstorage_bench.kvcache.workload.request_source import RequestSource
from mlpstorage_bench.kvcache.workload.requests import PREPARED_TOKENS, Request, UserStream
from mlpstorage_bench.kvcache.workload.sharing import SharedContent
from mlpstorage_bench.storage.buffers import round_up_to_sector
from mlpstorage_bench.storage.lane import buffers_for
from mlpstorage_bench.units import GIB, KIB

EDGE_S = 0.5
"""What windows may begin late, as ranks wait for each other: users go on asking meanwhile."""
USABLE_SHARE = 0.8
"""Of the free space: what a run may use when the profile does not say."""
HARNESS_BYTES = 200 << 20
"""Resident memory of a rank beside its buffers and memory tiers, at most."""
MOST_USERS = 1000
"""No search for users that fit goes further."""
UNBOUNDED_REQUESTS = 64
"""Of each user, where nothing takes time: enough to see the sizes of what it asks."""
UNBOUNDED_BYTES = 1 << 60
"""What is written where only capacities bound it."""


@dataclass(frozen=True)
class RankSize:
    """What one rank takes in a trial, in bytes."""

    written: int | None
    """The most that it writes; None where only capacities bound it."""
    largest_entry: int
    storage_capacity: int
    storage: int
    """The most that it has on storage at once."""
    memory: int
    """The most that it has resident: memory tiers, buffers, the harness itself."""

    @property
    def evicts(self) -> bool:
        """Whether entries may have to go."""
        return self.written is None or self.written > TARGET_USAGE * self.storage_capacity

    def problems(self, free_storage: int, free_memory: int) -> list[str]:
        """Return why it cannot run with so much space left for it."""
        problems = []
        if self.storage > free_storage:
            problems.append(
                f"storage: up to {self.storage / GIB:.2f} GiB, of which "
                f"{free_storage / GIB:.2f} are free"
            )
        if self.largest_entry > LARGEST_ENTRY * self.storage_capacity:
            problems.append(
                f"an entry of {self.largest_entry / GIB:.2f} GiB does not fit a capacity of "
                f"{self.storage_capacity / GIB:.2f}"
            )
        if self.memory > free_memory:
            problems.append(
                f"memory: up to {self.memory / GIB:.2f} GiB, but {free_memory / GIB:.2f} are free"
            )
        return problems


def size_of_rank(part: RankWorkload, free_storage: int) -> RankSize:
    """Return what a rank takes, where so many bytes of storage are free for it."""
    workload = part.workload
    capacity = storage_capacity(workload, free_storage)
    source = part.request_source()
    tally = _Tally(workload)
    if workload.precondition != "none":
        tally.precondition()
    tally.prepare(source)
    is_bounded = tally.ask(source)
    distinct = tally.total if is_bounded else None
    at_once = capacity if distinct is None else min(capacity, distinct)
    # what is shared may be written again after it was evicted: then only capacities bound it
    is_written_once = workload.keyed_by == "turn" and workload.trace_in is None
    stays = distinct is not None and distinct <= TARGET_USAGE * capacity
    written = distinct if stays or is_written_once else None
    limit = None if workload.write_limit_gb is None else round(workload.write_limit_gb * GIB)
    if limit is not None and workload.layout != "slab":
        written = limit if written is None else min(written, limit)
        at_once = min(at_once, limit)
    tiers = sum(round(gb * GIB) for gb in (workload.gpu_mem_gb, workload.cpu_mem_gb))
    chunk_bytes = workload.io_chunk_kib * KIB
    in_use = buffers_for(workload.lanes, workload.chunks_in_flight, chunk_bytes)
    buffers = in_use * chunk_bytes
    if workload.storage == "null":
        tiers = buffers = at_once = 0
    return RankSize(
        written=written,
        largest_entry=tally.largest,
        storage_capacity=capacity,
        storage=at_once,
        memory=(tiers if written is None else min(tiers, written)) + buffers + HARNESS_BYTES,
    )


class _Tally:
    """The bytes that requests add to the cache, each shared block once."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._occupied = footprint(workload)
        self._seen: set[str] = set()
        self.total = 0
        self.largest = 0

    def prepare(self, source: RequestSource) -> None:
        """Count what is there before the first request."""
        users = range(source.first_user, source.first_user + source.num_users)
        shared_content = SharedContent(source.sharing, source.seed)
        for block in prepared(users, shared_content, self._workload.rules):
            if block.key not in self._seen:
                self._seen.add(block.key)
                self._add(CacheGrowth(1, block))

    def precondition(self) -> None:
        """Count what is written to bring the storage into its steady state."""
        most = self._workload.precondition_gb
        self.total += UNBOUNDED_BYTES if most is None else round(most * GIB)
        self._add(CacheGrowth(self._workload.lanes, Block("", PREPARED_TOKENS, "answer")))

    def ask(self, source: RequestSource) -> bool:
        """Count all that may be asked until the window's end; False when nothing bounds that."""
        workload = self._workload
        ends_s = workload.warmup + workload.duration + EDGE_S
        if source.is_open_loop:
            for arrival in source.arrivals():
                if arrival.due_s >= ends_s:
                    break
                self._grow(arrival.request)
            return True
        is_bounded = True
        for stream in source.streams():
            is_bounded &= self._ask_user(stream, ends_s, source)
        return is_bounded

    def _ask_user(self, stream: UserStream, ends_s: float, source: RequestSource) -> bool:
        """Count what a user asks when each answer comes at once."""
        workload = self._workload
        takes_time = workload.think_time_scale or workload.generation_s_per_token
        if not takes_time and source.limit is None and workload.phase != "decode":
            for request in itertools.islice(stream.requests, UNBOUNDED_REQUESTS):
                self._grow(request)
            return False
        if workload.phase == "decode":
            return True
        now_s = stream.start_s * workload.think_time_scale
        for request in stream.requests:
            if now_s >= ends_s:
                break
            self._grow(request)
            now_s += request.generated_tokens * workload.generation_s_per_token
            now_s += request.think_s * workload.think_time_scale
        return True

    def _grow(self, request: Request) -> None:
        for grown in cache_growth(request, self._workload.rules, self._seen):
            self._add(grown)

    def _add(self, grown: CacheGrowth) -> None:
        block = grown.block
        size = self._workload.entry_bytes(block.tokens) if block.size is None else block.size
        occupied = self._occupied(size)
        self.total += grown.number * occupied
        self.largest = max(self.largest, occupied)


def storage_capacity(workload: Workload, free_storage: int) -> int:
    """Return what a rank may keep on storage: as the profile says, or a share of what is free."""
    if workload.storage_capacity_gb is not None:
        return round(workload.storage_capacity_gb * GIB)
    return int(USABLE_SHARE * free_storage)


def footprint(workload: Workload) -> Callable[[int], int]:
    """Return what an entry of so many bytes occupies on storage in the workload's layout."""
    if workload.layout != "slab":
        return round_up_to_sector
    slot = block_bytes(workload)
    return lambda size: -(-round_up_to_sector(size) // slot) * slot


def users_that_fit(part: RankWorkload, free_storage: int) -> int | None:
    """Return how many users' entries would all stay on a rank's storage; 1000: that many, or more.

    None where it is not users that bring the load: requests come at a rate, from a trace, or so
    many of them.
    """
    workload = part.workload
    capacity = storage_capacity(workload, free_storage)
    source = part.request_source()
    if source.is_open_loop or source.limit is not None or source.conversations is not None:
        return None
    tally = _Tally(workload)
    for number in range(MOST_USERS):
        alone = dataclasses.replace(source, num_users=1, first_user=source.first_user + number)
        tally.prepare(alone)
        if not tally.ask(alone) or tally.total > TARGET_USAGE * capacity:
            return number
    return MOST_USERS
