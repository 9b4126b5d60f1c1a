"""One trial on one rank: requests → cache → storage → measure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from mlpstorage_bench.errors import CapacityError, PeerError, StorageError
from mlpstorage_bench.kvcache.cache.tiered import TieredCache, Worker, WriteLimitError
from mlpstorage_bench.kvcache.profile import Workload
from mlpstorage_bench.kvcache.rank_trial import RankTrial
from mlpstorage_bench.kvcache.servant import Servant
from mlpstorage_bench.kvcache.site import (
    KIB,
    MakeStore,
    Site,
    build_cache,
    chunking,
    files_in_layout,
)
from mlpstorage_bench.kvcache.statistics import RequestStatistics
from mlpstorage_bench.kvcache.turnstile import Turnstile
from mlpstorage_bench.kvcache.workload.requests import user_streams
from mlpstorage_bench.measure.device import BlockDevice, DeviceTraffic
from mlpstorage_bench.measure.process import ProcessCounters, forget_peak_rss, peak_rss_bytes
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.traffic import Reading
from mlpstorage_bench.measure.window import NS_PER_S, Window
from mlpstorage_bench.storage.buffers import BufferPool
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.payload import Payload

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


def run_trial(
    workload: Workload, site: Site, peers: Peers, make_store: MakeStore = files_in_layout
) -> RankTrial:
    """Run one trial and return what this rank saw of it. The cache is empty before and after."""
    forget_peak_rss()
    cache = build_cache(workload, site, make_store)
    try:
        trial = _Trial(workload, site, cache).run(peers)
    except BaseException as error:
        try:
            cache.close()
        except StorageError as second:  # the first is the one to tell
            error.add_note(str(second))
        raise
    cache.close()
    return trial


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
        self._workers: list[Servant] = []
        self._device = BlockDevice.under(site.directory)

    def run(self, peers: Peers) -> RankTrial:
        site = self._site
        streams = user_streams(self._workload.num_users, site.seed, site.first_user)
        payload = Payload(
            self._site.seed,
            compress_ratio=self._workload.compress_ratio,
            dedup_ratio=self._workload.dedup_ratio,
        )
        with ExitStack() as resources:
            buffers = BufferPool(
                self._workload.io_chunk_kib * KIB, self._lanes * self._workload.chunks_in_flight
            )
            lanes = [
                resources.enter_context(self._lane(payload, buffers)) for _ in range(self._lanes)
            ]
            peers.barrier()
            self._turnstile = Turnstile(streams, self._workload.think_time_scale)
            self._workers = [
                Servant(
                    self._workload,
                    self._cache,
                    Worker(lane, Recorder(self._window)),
                    self._turnstile,
                    self._limit_reached,
                )
                for lane in lanes
            ]
            pool = resources.enter_context(
                ThreadPoolExecutor(self._lanes, thread_name_prefix="lane")
            )
            resources.callback(self._stop)  # before the pool waits for its workers
            if self._workload.phase == "decode":
                self._prepare(pool, peers)
            self._turnstile.open()
            futures = [pool.submit(worker.serve_until_stopped) for worker in self._workers]
            self._keep(futures, peers, self._warm_up_ends())
            peers.barrier()
            opened_at = time.time()
            before = _Counters.now(self._device)
            before.start(self._window)
            self._window.open(self._workload.duration)
            closed_by = self._keep(futures, peers, self._window_closes(peers))
            self._window.close()
            after = _Counters.now(self._device)
            after.end(self._window)
        drained_ns = time.perf_counter_ns()
        for future in futures:
            future.result()
        peers.barrier()
        return self._result(opened_at, closed_by, before, after, drained_ns)

    def _lane(self, payload: Payload, buffers: BufferPool) -> Lane:
        return Lane(
            payload,
            chunking(self._workload),
            self._stopping,
            chunks_in_flight=self._workload.chunks_in_flight,
            verify_rate=self._workload.verify_rate,
            buffers=buffers,
        )

    def _prepare(self, pool: ThreadPoolExecutor, peers: Peers) -> None:
        """Write what decoding reads, on all lanes, and wait for the other ranks to have done so."""
        lanes = len(self._workers)
        first = self._site.first_user
        users = range(first, first + self._workload.num_users)
        futures = [
            pool.submit(worker.prepare, users[number::lanes])
            for number, worker in enumerate(self._workers)
        ]
        try:
            self._keep(
                futures, peers, lambda: "written" if all(f.done() for f in futures) else None
            )
            for future in futures:
                future.result()
        except WriteLimitError as error:
            raise CapacityError(
                "What decoding reads is more than write_limit_gb allows to be written: raise it"
            ) from error
        peers.barrier()

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
        self, opened_at: float, closed_by: str, before: _Counters, after: _Counters, drained_ns: int
    ) -> RankTrial:
        for worker in self._workers:
            worker.count_generating()
        tiers = self._cache.tiers
        return RankTrial(
            rank=self._site.rank,
            host=self._site.host,
            opened_at=opened_at,
            window_s=self._window.length_s,
            drain_s=max(0, drained_ns - self._window.closes_ns) / NS_PER_S,
            closed_by=closed_by,
            io_mode=self._site.io_mode,
            in_flight=self._lanes * self._workload.chunks_in_flight,
            chunk_bytes=self._workload.io_chunk_kib * KIB,
            requests=RequestStatistics.total(worker.statistics for worker in self._workers),
            operations=Recorder.total(worker.recorder for worker in self._workers),
            entries={tier.name: len(tier.residents) for tier in tiers},
            offloads=dict(self._cache.offloads),
            evicted_bytes=tiers[-1].evicted_bytes,
            written_bytes=tiers[-1].written_bytes,
            peak_storage_bytes=tiers[-1].peak_bytes,
            process_traffic=after.process.since(before.process),
            device_traffic=after.device_since(before),
            cpu_s=after.process.cpu_s - before.process.cpu_s,
            peak_rss_bytes=peak_rss_bytes(),
            corruption=next((w.corruption for w in self._workers if w.corruption), ""),
        )


@dataclass(frozen=True)
class _Counters:
    """The kernel's counters at an edge of the window."""

    process: ProcessCounters
    device: BlockDevice | None
    device_reading: Reading | None

    @classmethod
    def now(cls, device: BlockDevice | None) -> _Counters:
        return cls(ProcessCounters.now(), device, None if device is None else device.read())

    def start(self, window: Window) -> None:
        """Have the window's workers count as the kernel does, from these readings on."""
        if self.process.reading is not None:
            window.process_counted.start_ns = self.process.reading.moment_ns
        if self.device_reading is not None:
            window.device_counted.start_ns = self.device_reading.moment_ns

    def end(self, window: Window) -> None:
        """The same, up to these."""
        if self.process.reading is not None:
            window.process_counted.end_ns = self.process.reading.moment_ns
        if self.device_reading is not None:
            window.device_counted.end_ns = self.device_reading.moment_ns

    def device_since(self, before: _Counters) -> DeviceTraffic | None:
        if self.device is None or self.device_reading is None or before.device_reading is None:
            return None
        moved = self.device_reading.traffic - before.device_reading.traffic
        return DeviceTraffic(self.device, moved)
