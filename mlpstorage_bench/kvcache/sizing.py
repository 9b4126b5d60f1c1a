"""Space that a workload needs, computed from its requests without averages.

Time limits the data that a rank writes in a trial: even with storage that takes no time, a user
sends its next request only after its think time. Without think time and generation time, only the
capacities of the tiers limit it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mlpstorage_bench.errors import CapacityError
from mlpstorage_bench.kvcache.cache.tier import LARGEST_ENTRY, TARGET_USAGE
from mlpstorage_bench.kvcache.config.block_layout import block_bytes
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.turn_tally import Bounds, Pace, examine, sizes_by_tokens
from mlpstorage_bench.kvcache.workload.accesses import CacheGrowth, cache_growth, prepared
from mlpstorage_bench.kvcache.workload.blocks import Block
from mlpstorage_bench.kvcache.workload.request_source import RequestSource
from mlpstorage_bench.kvcache.workload.requests import PREPARED_TOKENS, Request, UserStream
from mlpstorage_bench.kvcache.workload.sharing import SharedContent
from mlpstorage_bench.storage.buffers import SECTOR_BYTES
from mlpstorage_bench.storage.lane import buffers_for
from mlpstorage_bench.units import GIB, KIB, gib

EDGE_S = 0.5
"""Longest delay of a window's start while ranks wait for each other; requests continue."""
USABLE_SHARE = 0.8
"""Share of the free space that a run may use if the profile sets no capacity."""
HARNESS_BYTES = 200 << 20
"""Most resident memory of a rank in addition to its buffers and memory tiers."""
MOST_USERS = 1000
"""Upper limit of the search for users that fit."""
MOST_REQUESTS_OF_USERS = 100_000
"""Requests, of all ranks together, after which the search for users that fit leaves out ranks."""
MOST_REQUESTS = 1_000_000
"""Requests of a rank that are examined, in about 10 s. A run with more is taken to have no limit
but its capacities, and the largest entry to be among these."""
MOST_TURNS = 10_000_000
"""The same where each request is a turn of a user alone: these are examined in arrays, in 2 s."""
ENOUGH_REQUESTS = 20_000
"""Requests of a rank, spread over its users, that are enough for the sizes of entries once these
are known to exceed the capacity: further ones only replace earlier ones."""
UNBOUNDED_REQUESTS = 64
"""Requests of each user that are examined if their number has no limit: enough for their sizes."""
PRECONDITION_CAPACITIES = 2
"""Default limit of preconditioning, in multiples of the capacity."""


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
    tally = _Tally(workload, alignment_bytes, max(capacity, tiers) if until_full else None)
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


class _Tally:
    """The bytes that requests add to the cache, each shared block once."""

    def __init__(
        self,
        workload: Workload,
        alignment_bytes: int = SECTOR_BYTES,
        enough_bytes: int | None = None,
    ) -> None:
        self._workload = workload
        self._enough_bytes = enough_bytes
        """Bytes beyond which the total does not matter; None: all matter."""
        self._units = units_of(workload, alignment_bytes)
        self._seen: set[str] = set()
        self.total = 0
        self.largest = 0
        self.requests = 0
        """Requests that were examined."""

    def prepare(self, source: RequestSource) -> None:
        """Count the entries that are written before the first request."""
        users = range(source.first_user, source.first_user + source.num_users)
        shared_content = SharedContent(source.sharing, source.seed)
        for block in prepared(users, shared_content, self._workload.rules):
            if block.key not in self._seen:
                self._seen.add(block.key)
                self._add(CacheGrowth(1, block))

    def precondition(self, capacity: int) -> None:
        """Count the entries of preconditioning."""
        self.total += most_preconditioning(self._workload, capacity)
        self._add(CacheGrowth(self._workload.lanes, Block("", PREPARED_TOKENS, "answer")))

    def add_requests(self, source: RequestSource) -> bool:
        """Count all requests until the window's end; False if their number has no limit."""
        workload = self._workload
        ends_s = workload.warmup + workload.duration + EDGE_S
        if source.is_open_loop:
            for arrival in source.arrivals():
                if arrival.due_s >= ends_s:
                    break
                is_enough = source.recorded is None and self._has_enough(ENOUGH_REQUESTS)
                if is_enough or self.requests >= MOST_REQUESTS:
                    return False
                self._grow(arrival.request)
            return True
        if source.is_by_user and workload.phase != "decode":
            return self._add_turns(source, ends_s)
        is_bounded = True
        for stream in source.streams():
            is_bounded &= self._add_user(stream, ends_s, source)
        return is_bounded

    def _add_turns(self, source: RequestSource, ends_s: float) -> bool:
        """Count the turns of all users, in arrays; False without a limit."""
        workload = self._workload
        pace = Pace(workload.think_time_scale, workload.generation_s_per_token, ends_s)
        is_limited = self._takes_time or source.limit is not None
        sizes = sizes_by_tokens(workload, self._units)
        is_bounded, largest = is_limited, 0
        for drawn, limit in source.draws():
            bounds = Bounds(UNBOUNDED_REQUESTS, UNBOUNDED_REQUESTS)
            if is_limited:
                bounds = Bounds(
                    limit,
                    max(0, MOST_TURNS - self.requests),
                    max(1, ENOUGH_REQUESTS // source.num_users),
                    None if self._enough_bytes is None else self._enough_bytes - self.total,
                )
            found = examine(drawn, pace, sizes, bounds)
            self.requests += found.requests
            self.total += found.occupied_bytes
            largest = max(largest, found.largest_tokens)
            is_bounded &= found.is_complete
        self.largest = max(self.largest, int(sizes[largest]) if largest else 0)
        return is_bounded

    @property
    def _takes_time(self) -> bool:
        """Whether time passes between the requests of a user."""
        return bool(self._workload.think_time_scale or self._workload.generation_s_per_token)

    def _add_user(self, stream: UserStream, ends_s: float, source: RequestSource) -> bool:
        """Count the requests of a user whose storage takes no time; False without a limit."""
        workload = self._workload
        if not self._takes_time and source.limit is None and workload.phase != "decode":
            for request in itertools.islice(stream.requests, UNBOUNDED_REQUESTS):
                self._grow(request)
            return False
        if workload.phase == "decode":
            return True
        now_s = stream.start_s * workload.think_time_scale
        enough = self.requests + max(1, ENOUGH_REQUESTS // source.num_users)
        for request in stream.requests:
            if now_s >= ends_s:
                break
            if self._has_enough(enough) or self.requests >= MOST_REQUESTS:
                return False
            self._grow(request)
            now_s += request.generated_tokens * workload.generation_s_per_token
            now_s += request.think_s * workload.think_time_scale
        return True

    def _has_enough(self, requests: int) -> bool:
        """Return whether this many requests tell all, because their entries exceed the capacity."""
        is_full = self._enough_bytes is not None and self.total > self._enough_bytes
        return is_full and self.requests >= requests

    def _grow(self, request: Request) -> None:
        self.requests += 1
        for grown in cache_growth(request, self._workload.rules, self._seen):
            self._add(grown)

    def _add(self, grown: CacheGrowth) -> None:
        block = grown.block
        size = self._workload.entry_bytes(block.tokens) if block.size is None else block.size
        occupied = in_units(size, self._units)
        self.total += grown.number * occupied
        self.largest = max(self.largest, occupied)


def storage_capacity(workload: Workload, free_storage: int) -> int:
    """Return a rank's capacity on storage: the profile's, or a share of the free space."""
    if workload.storage_capacity_gb is not None:
        return round(workload.storage_capacity_gb * GIB)
    return int(USABLE_SHARE * free_storage)


def most_preconditioning(workload: Workload, capacity: int) -> int:
    """Return the bytes after which a rank ends preconditioning, steady or not."""
    most = workload.precondition_gb
    return PRECONDITION_CAPACITIES * capacity if most is None else round(most * GIB)


def footprint(workload: Workload, alignment_bytes: int = SECTOR_BYTES) -> Callable[[int], int]:
    """Return a function: bytes of an entry → bytes that it occupies in the workload's layout."""
    units = units_of(workload, alignment_bytes)
    return lambda size: in_units(size, units)


def units_of(workload: Workload, alignment_bytes: int) -> tuple[int, ...]:
    """Return the bytes to multiples of which an entry is rounded up, one after the other."""
    if workload.layout != "slab":
        return (alignment_bytes,)
    return (alignment_bytes, block_bytes(workload, alignment_bytes))


def in_units(size: int, units: Iterable[int]) -> int:
    """Return the size rounded up to each of the units in turn."""
    for unit in units:
        size = -(-size // unit) * unit
    return size


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
    tally = _Tally(workload)
    for number in range(most):
        alone = dataclasses.replace(source, num_users=1, first_user=source.first_user + number)
        tally.prepare(alone)
        if not tally.add_requests(alone) or tally.total > TARGET_USAGE * capacity:
            return number, tally.requests
    return most, tally.requests
