"""A lane's worker: serves requests, with their cache operations, one after the other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from mlpstorage_bench.errors import CorruptDataError
from mlpstorage_bench.kvcache.cache.client import CacheClient
from mlpstorage_bench.kvcache.cache.index import PinnedEntry
from mlpstorage_bench.kvcache.cache.shared import PrefixMatch, SharedEntries
from mlpstorage_bench.kvcache.cache.tiered import TieredCache, WriteLimitError
from mlpstorage_bench.kvcache.config.request_counters import EndedRequest, RequestCounters
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.runner.scheduler import DueRequest, RequestScheduler
from mlpstorage_bench.kvcache.trace_files import LaneJournal
from mlpstorage_bench.kvcache.workload.accesses import accesses
from mlpstorage_bench.kvcache.workload.blocks import Access, Block, Read, ReadOrWrite
from mlpstorage_bench.kvcache.workload.requests import PREPARED_TOKENS
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.units import NS_PER_S

_LATER_NS = 1 << 63
"""A moment after the end of any window."""


@dataclass(frozen=True)
class WorkerContext:
    """Objects that all lanes of a trial share."""

    workload: Workload
    cache: TieredCache
    shared: SharedEntries
    scheduler: RequestScheduler
    limit_reached: threading.Event
    """Set when the write limit is reached."""

    sizes: dict[int, int] = field(default_factory=dict)
    """Bytes of blocks by tokens, as far as they were asked for."""

    def size_of(self, block: Block) -> int:
        """Return a block's bytes."""
        if block.size is not None:
            return block.size
        size = self.sizes.get(block.tokens)
        if size is None:
            size = self.sizes[block.tokens] = self.workload.entry_bytes(block.tokens)
        return size


class RequestWorker:
    """Serves requests one after the other on one lane."""

    def __init__(
        self, context: WorkerContext, client: CacheClient, journal: LaneJournal | None = None
    ) -> None:
        self.statistics = RequestCounters()
        self.corruption = ""
        """Description of the first read that found other data than was written."""
        self._context = context
        self._workload = context.workload
        self._rules = context.workload.rules
        self._generation_s_per_token = context.workload.generation_s_per_token
        self._cache = context.cache
        self._client = client
        self._journal = journal
        self._clock = client.recorder.window.clock
        self._generating: deque[EndedRequest] = deque()
        self._asked_ns = 0
        """Moment at which the next operation was requested."""
        self.waited_ns = 0
        """Time inside the window in which the lane waited for a request."""
        self._has_ended_ns: int | None = None
        """When there were no more requests for this lane."""
        self._unfinished_since_ns: int | None = None
        """Start of the request that was not served completely."""
        self._read_keys: set[str] = set()
        """Blocks that the request in service has read."""

    @property
    def recorder(self) -> Recorder:
        """Recorder of the lane's operations."""
        return self._client.recorder

    def serve_until_stopped(self) -> None:
        """Serve requests until the scheduler has no more or the write limit is reached."""
        while self.serve_next():
            pass
        self._has_ended_ns = self._clock.now_ns()

    def serve_next(self) -> bool:
        """Serve one request; False if there is none, or it could not be served completely."""
        asked_ns = self._clock.now_ns()
        due = self._context.scheduler.take()
        taken_ns = self._clock.now_ns()
        self.waited_ns += self.recorder.window.overlap_ns(asked_ns, taken_ns)
        if due is None:
            return False
        self._asked_ns = due.due_ns
        self._read_keys.clear()
        try:
            for access in accesses(due.request, self._rules):
                self._do(access)
        except (CutOffError, WriteLimitError) as error:
            if isinstance(error, WriteLimitError):
                self._context.limit_reached.set()
            self._unfinished_since_ns = taken_ns
            return False
        self._finish(due, taken_ns, self._clock.now_ns())
        return True

    def prepare(self, blocks: Iterable[Block]) -> None:
        """Write the entries that exist before the measurement."""
        for block in blocks:
            self._write(block)

    def precondition(self, lane: int, has_enough: Callable[[], bool]) -> None:
        """Write entries that no request reads, until `has_enough` returns true."""
        size = self._workload.entry_bytes(PREPARED_TOKENS)
        number = 0
        while not has_enough():
            self._cache.write(f"precondition{lane}-{number}", size, self._client)
            number += 1

    def _do(self, access: Access) -> None:
        if isinstance(access, Read):
            is_decoding = access.block.purpose == "answer"
            self._enter("Decode" if is_decoding else "Prefill")
            self._look_up(access.block)
            if is_decoding and self.recorder.window.contains(self._asked_ns):
                self.statistics.decode_reads += 1
        elif isinstance(access, ReadOrWrite):
            self._enter("Prefill")
            self._read_or_write(access.blocks, is_read=access.is_read)
        else:
            self._enter("Prefill")
            self._write(access.block, is_counted=True)

    def _enter(self, phase: str) -> None:
        if self._journal is not None:
            self._journal.phase = phase

    def _read_or_write(self, blocks: Sequence[Block], *, is_read: bool) -> None:
        """Read the longest prefix in the cache, and write the missing blocks after it."""
        while blocks:
            keys = [block.key for block in blocks]
            with self._context.shared.match_prefix(keys, self._client.lane.stopping) as match:
                for pinned, block in zip(match.pinned, blocks, strict=False):
                    self._use(pinned, block, is_read=is_read)
                if match.claimed:
                    self._write_claimed(match, blocks)
                    return
            for entry in match.pinned:
                self._cache.promote(entry, self._client)
            blocks = blocks[len(match.pinned) :]

    def _write_claimed(self, match: PrefixMatch, blocks: Sequence[Block]) -> None:
        claimed = set(match.claimed)
        for block in blocks:
            if block.key in claimed:
                self._write(block, is_counted=True)
                self._context.shared.mark_written(block.key)
            self._count_lookup(block, None)

    def _use(self, pinned: PinnedEntry, block: Block, *, is_read: bool) -> None:
        """Read a pinned block if `is_read`, and count the lookup as found."""
        if is_read:
            is_repeated = block.key in self._read_keys
            try:
                self._cache.read_pinned(
                    pinned, self._client, self._asked_ns, is_repeated=is_repeated
                )
            except CorruptDataError as error:
                self._note_corruption(error)
                return
            finally:
                self._asked_ns = self._clock.now_ns()
            self._read_keys.add(block.key)
        self._count_lookup(block, pinned.tier.name)

    def _look_up(self, block: Block) -> None:
        is_repeated = block.key in self._read_keys
        try:
            tier = self._cache.read(
                block.key, self._client, self._asked_ns, is_repeated=is_repeated
            )
        except CorruptDataError as error:
            self._note_corruption(error)
            return
        finally:
            self._asked_ns = self._clock.now_ns()
        self._read_keys.add(block.key)
        self._count_lookup(block, tier)

    def _count_lookup(self, block: Block, tier: str | None) -> None:
        """Count a lookup that ended when the next operation was requested."""
        if self.recorder.window.contains(self._asked_ns):
            self.statistics.count_lookup(block.purpose, self._context.size_of(block), tier)

    def _note_corruption(self, error: CorruptDataError) -> None:
        self.statistics.corrupt_reads += 1
        self.corruption = self.corruption or str(error)

    def _write(self, block: Block, *, is_counted: bool = False) -> None:
        asked_ns = self._asked_ns if is_counted else None
        self._cache.write(block.key, self._context.size_of(block), self._client, asked_ns)
        self._asked_ns = self._clock.now_ns()
        if is_counted and self.recorder.window.contains(self._asked_ns):
            self.statistics.prefill_writes += 1

    def _finish(self, due: DueRequest, taken_ns: int, cached_ns: int) -> None:
        request = due.request
        generation_s = request.generated_tokens * self._generation_s_per_token
        ended_ns = cached_ns + round(generation_s * NS_PER_S)
        self._generating.append(
            EndedRequest(
                due.due_ns,
                taken_ns,
                cached_ns,
                ended_ns,
                request.context_tokens,
                request.generated_tokens,
                request.qos,
            )
        )
        self._context.scheduler.finished(due, ended_ns)
        self._count_ended(cached_ns)

    def _count_ended(self, now_ns: int) -> None:
        for _ in range(len(self._generating)):
            ended = self._generating.popleft()
            if ended.ended_ns <= now_ns:
                ended.add_to(self.statistics, self.recorder.window)
            else:
                self._generating.append(ended)

    def count_unfinished(self) -> None:
        """Count what went on at the end: requests, their generation, and the wait for more."""
        self._count_ended(_LATER_NS)
        if self._has_ended_ns is not None:
            self.waited_ns += self.recorder.window.overlap_ns(self._has_ended_ns, _LATER_NS)
        if self._unfinished_since_ns is not None:
            self.statistics.count_edges(self.recorder.window, self._unfinished_since_ns, _LATER_NS)
