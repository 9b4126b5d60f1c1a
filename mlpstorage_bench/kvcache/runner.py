"""One trial on one rank: requests → cache → storage → measure."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlpstorage_bench.errors import PeerError
from mlpstorage_bench.kvcache.cache.tier import Tier
from mlpstorage_bench.kvcache.cache.tiered import TieredCache, Worker, WriteLimitError
from mlpstorage_bench.kvcache.models import MODELS
from mlpstorage_bench.kvcache.profile import GIB, Workload
from mlpstorage_bench.kvcache.statistics import EndedRequest, RequestStatistics
from mlpstorage_bench.kvcache.turnstile import Ticket, Turnstile
from mlpstorage_bench.kvcache.workload.requests import Request, user_streams
from mlpstorage_bench.measure.audit import Audit, audit
from mlpstorage_bench.measure.process import ProcessCounters, peak_rss_bytes
from mlpstorage_bench.measure.recorder import Kind, OperationStatistics, Recorder
from mlpstorage_bench.measure.window import NS_PER_S, Window
from mlpstorage_bench.storage.buffers import AlignedBuffer
from mlpstorage_bench.storage.files import EntryFiles, IoMode
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import CutOffError, Lane

KIB = 1024
STORAGE_TIER = "storage"
_POLL_S = 0.01
"""How often the window's keeper looks at its workers and peers."""


class Peers(Protocol):
    """What a trial needs of the other ranks."""

    def barrier(self) -> None:
        """Wait until every rank is here."""
        ...

    def close_together(self) -> None:
        """Tell the others that this rank's window closes early."""
        ...

    def is_closing(self) -> bool:
        """Whether another rank's window closes early."""
        ...

    def failed(self) -> list[int]:
        """Ranks that have failed meanwhile."""
        ...


@dataclass(frozen=True)
class RankTrial:
    """What one rank measured in one trial."""

    rank: int
    host: str
    opened_at: float
    """When the window opened (seconds since the epoch, this host's clock)."""
    window_s: float
    drain_s: float
    """From the window's close until the last operation in flight had ended."""
    closed_by: str
    """`duration`, `write limit`, or `another rank`."""
    io_mode: IoMode
    requests: RequestStatistics
    operations: dict[tuple[str, Kind], OperationStatistics]
    """By tier and kind."""
    entries: dict[str, int]
    """Resident at the end, by tier."""
    offloads: dict[str, int]
    """Entries placed in each tier because a higher one could not take or keep them."""
    evicted_bytes: int
    """What fell off the storage tier."""
    audit: Audit
    cpu_s: float
    peak_rss_bytes: int

    def operation(self, tier: str, kind: Kind) -> OperationStatistics:
        """Return a tier's reads or writes; empty ones where there were none."""
        return self.operations.get((tier, kind), OperationStatistics())


@dataclass(frozen=True)
class Site:
    """Where a rank runs: everything about a trial that is not the workload."""

    rank: int
    host: str
    directory: Path
    """Of this rank's cache files."""
    io_mode: IoMode
    storage_capacity_bytes: int
    seed: int
    """The rank's own: the profile's + rank."""


def run_trial(workload: Workload, site: Site, peers: Peers) -> RankTrial:
    """Run one trial and return what this rank saw of it. The cache is empty before and after."""
    cache = _build_cache(workload, site)
    try:
        trial = _Trial(workload, site, cache).run(peers)
    finally:
        cache.close()
    return trial


def _build_cache(workload: Workload, site: Site) -> TieredCache:
    chunk_bytes = workload.io_chunk_kib * KIB
    memory = {"gpu": workload.gpu_mem_gb, "cpu": workload.cpu_mem_gb}
    tiers = [
        Tier(name, MemoryStore(chunk_bytes), round(capacity_gb * GIB))
        for name, capacity_gb in memory.items()
        if capacity_gb > 0
    ]
    files = EntryFiles(site.directory, site.io_mode)
    tiers.append(Tier(STORAGE_TIER, files, site.storage_capacity_bytes))
    limit = None if workload.write_limit_gb is None else round(workload.write_limit_gb * GIB)
    return TieredCache(tiers, Payload(site.seed, chunk_bytes), limit)


class _Trial:
    """The workers of one trial and the keeper of its window, which is the calling thread."""

    def __init__(self, workload: Workload, site: Site, cache: TieredCache) -> None:
        self._workload = workload
        self._site = site
        self._cache = cache
        self._window = Window()
        self._stopping = threading.Event()
        self._limit_reached = threading.Event()
        self._lanes = min(workload.max_concurrent_allocs, workload.num_users)
        self._turnstile: Turnstile
        self._workers: list[_Servant] = []

    def run(self, peers: Peers) -> RankTrial:
        chunk_bytes = self._workload.io_chunk_kib * KIB
        streams = user_streams(self._workload.num_users, self._site.seed)
        lanes = [Lane(AlignedBuffer(chunk_bytes), self._stopping) for _ in range(self._lanes)]
        peers.barrier()
        self._turnstile = Turnstile(streams, self._workload.think_time_scale)
        self._workers = [
            _Servant(
                self._workload,
                self._cache,
                Worker(lane, Recorder(self._window)),
                self._turnstile,
                self._limit_reached,
            )
            for lane in lanes
        ]
        with (
            ThreadPoolExecutor(self._lanes, thread_name_prefix="lane") as pool,
            ExitStack() as before_the_pool_waits,
        ):
            before_the_pool_waits.callback(self._stop)
            futures = [pool.submit(worker.serve_until_stopped) for worker in self._workers]
            self._keep(futures, peers, self._warm_up_ends())
            peers.barrier()
            opened_at = time.time()
            self._window.open(self._workload.duration)
            before = ProcessCounters.now()
            closed_by = self._keep(futures, peers, self._window_closes(peers))
            self._window.close()
            after = ProcessCounters.now()
        drained_ns = time.perf_counter_ns()
        for future in futures:
            future.result()
        peers.barrier()
        return self._result(opened_at, closed_by, before, after, drained_ns)

    def _stop(self) -> None:
        """Let every worker end after the chunk that it has in flight."""
        self._stopping.set()
        self._turnstile.stop()

    def _warm_up_ends(self) -> Callable[[], str | None]:
        deadline = time.monotonic() + self._workload.warmup
        return lambda: "warm-up" if time.monotonic() >= deadline else None

    def _window_closes(self, peers: Peers) -> Callable[[], str | None]:
        def reason() -> str | None:
            if self._window.is_over:
                return "duration"
            if self._limit_reached.is_set():
                peers.close_together()
                return "write limit"
            return "another rank" if peers.is_closing() else None

        return reason

    def _keep(
        self,
        futures: Sequence[Future[None]],
        peers: Peers,
        ended: Callable[[], str | None],
    ) -> str:
        """Wait until `ended` gives a reason, a worker fails (raised here) or another rank does."""
        while True:
            reason = ended()
            if reason is not None:
                return reason
            pause_s = min(_POLL_S, self._window.remaining_s)
            done, _ = wait(futures, timeout=pause_s, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            failed = peers.failed()
            if failed:
                raise PeerError(f"rank {', '.join(map(str, failed))} failed during this trial")

    def _result(
        self,
        opened_at: float,
        closed_by: str,
        before: ProcessCounters,
        after: ProcessCounters,
        drained_ns: int,
    ) -> RankTrial:
        operations = Recorder.total(worker.recorder for worker in self._workers)
        for worker in self._workers:
            worker.count_generating()
        moved = {
            kind: operations.get((STORAGE_TIER, kind), OperationStatistics()).moved_bytes
            for kind in ("read", "write")
        }
        tiers = self._cache.tiers
        return RankTrial(
            rank=self._site.rank,
            host=self._site.host,
            opened_at=opened_at,
            window_s=self._window.length_s,
            drain_s=max(0, drained_ns - self._window.closes_ns) / NS_PER_S,
            closed_by=closed_by,
            io_mode=self._site.io_mode,
            requests=RequestStatistics.total(worker.statistics for worker in self._workers),
            operations=operations,
            entries={tier.name: len(tier.residents) for tier in tiers},
            offloads=dict(self._cache.offloads),
            evicted_bytes=tiers[-1].evicted_bytes,
            audit=audit(
                moved["read"],
                moved["write"],
                before,
                after,
                edge_bytes=2 * self._lanes * self._workload.io_chunk_kib * KIB,
            ),
            cpu_s=after.cpu_s - before.cpu_s,
            peak_rss_bytes=peak_rss_bytes(),
        )


class _Servant:
    """Serves requests one after the other on one lane."""

    def __init__(
        self,
        workload: Workload,
        cache: TieredCache,
        worker: Worker,
        turnstile: Turnstile,
        limit_reached: threading.Event,
    ) -> None:
        self.statistics = RequestStatistics()
        self._workload = workload
        self._bytes_per_token = MODELS[workload.model].bytes_per_token
        self._cache = cache
        self._worker = worker
        self._turnstile = turnstile
        self._limit_reached = limit_reached
        self._generating: deque[EndedRequest] = deque()

    @property
    def recorder(self) -> Recorder:
        return self._worker.recorder

    def serve_until_stopped(self) -> None:
        """Serve what the turnstile gives, until it gives no more or the write limit is reached."""
        while (ticket := self._turnstile.take()) is not None:
            taken_ns = time.perf_counter_ns()
            try:
                self._serve(ticket.request)
            except CutOffError:
                return
            except WriteLimitError:
                self._limit_reached.set()
                return
            self._finish(ticket, taken_ns, time.perf_counter_ns())

    def _serve(self, request: Request) -> None:
        """Read the conversation so far, write this turn (prefill), read it back (decode)."""
        for key in request.earlier_keys:
            if self._look_up(key) and self._counts_now():
                self.statistics.multi_turn_hits += 1
        self._cache.write(request.key, self._entry_bytes(request), self._worker)
        if self._counts_now():
            self.statistics.prefill_writes += 1
        for _ in range(request.decode_reads):
            self._look_up(request.key)
            if self._counts_now():
                self.statistics.decode_reads += 1

    def _look_up(self, key: str) -> bool:
        tier = self._cache.read(key, self._worker)
        if self._counts_now():
            if tier is None:
                self.statistics.misses += 1
            else:
                self.statistics.hits[tier] += 1
        return tier is not None

    def _counts_now(self) -> bool:
        return self.recorder.window.contains(time.perf_counter_ns())

    def _entry_bytes(self, request: Request) -> int:
        tokens = max(1, round(request.context_tokens * self._workload.entry_scale))
        return tokens * self._bytes_per_token

    def _finish(self, ticket: Ticket, taken_ns: int, cached_ns: int) -> None:
        request = ticket.request
        generation_s = request.generated_tokens * self._workload.generation_s_per_token
        ended_ns = cached_ns + round(generation_s * NS_PER_S)
        self._generating.append(
            EndedRequest(
                ticket.due_ns,
                taken_ns,
                cached_ns,
                ended_ns,
                request.context_tokens,
                request.generated_tokens,
            )
        )
        self._turnstile.finished(ticket, ended_ns)
        self._count_ended(cached_ns)

    def _count_ended(self, now_ns: int) -> None:
        for _ in range(len(self._generating)):
            ended = self._generating.popleft()
            if ended.ended_ns <= now_ns:
                ended.count(self.statistics, self.recorder.window)
            else:
                self._generating.append(ended)

    def count_generating(self) -> None:
        """Count the requests whose generation went on when the lane was done with them."""
        self._count_ended(2**63)
