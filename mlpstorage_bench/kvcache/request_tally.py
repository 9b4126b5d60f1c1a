"""Bytes that a rank's requests add to its cache in a trial.

Time limits their number: even with storage that takes no time, a user sends its next request only
after its think time.
"""

from __future__ import annotations

import itertools

from mlpstorage_bench.kvcache.config.block_layout import in_units, units_of
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.turn_tally import Bounds, Pace, examine, sizes_by_tokens
from mlpstorage_bench.kvcache.workload.accesses import CacheGrowth, cache_growth, prepared
from mlpstorage_bench.kvcache.workload.blocks import Block
from mlpstorage_bench.kvcache.workload.request_source import RequestSource
from mlpstorage_bench.kvcache.workload.requests import PREPARED_TOKENS, Request, UserStream
from mlpstorage_bench.kvcache.workload.sharing import SharedContent
from mlpstorage_bench.storage.buffers import SECTOR_BYTES
from mlpstorage_bench.units import GIB

EDGE_S = 0.5
"""Longest delay of a window's start while ranks wait for each other; requests continue."""
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


class RequestTally:
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


def most_preconditioning(workload: Workload, capacity: int) -> int:
    """Return the bytes after which a rank ends preconditioning, steady or not."""
    most = workload.precondition_gb
    return PRECONDITION_CAPACITIES * capacity if most is None else round(most * GIB)
