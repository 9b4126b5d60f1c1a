"""A window that all ranks open at one moment, with the kernel's counters at its edges.

A window of a given length closes on all ranks at one moment, with work in flight: all counters are
read at its edges. One that ends with the work ends on each rank when its own is done, and then a
reading of the host's storage would miss what other ranks still move: those counters are read where
no rank works, before the windows open and when all have closed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.measure.clock_offset import ClockOffset, CommonTime, WindowEdges
from mlpstorage_bench.measure.operation_statistics import OperationKey, OperationStatistics
from mlpstorage_bench.measure.process import peak_rss_bytes
from mlpstorage_bench.measure.throttling import Throttling, ThrottlingCounter
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.mpi.ranks import Ranks
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.trial.common_start import common_moment_ns, sleep_until
from mlpstorage_bench.trial.counter_probe import UsableCounters
from mlpstorage_bench.trial.rank_window import RankWindow
from mlpstorage_bench.trial.window_counters import StorageCounters, WindowCounters
from mlpstorage_bench.units import NS_PER_S

UNLIMITED_S = 10 * 365 * 86_400.0
"""Length of a window that the end of the work closes."""


@dataclass(frozen=True)
class RankPlace:
    """Where a rank moves its data, and how."""

    rank: int
    host: str
    io_mode: IoMode
    counters: UsableCounters
    chunk_bytes: int


@dataclass(frozen=True, kw_only=True)
class RankWork:
    """Work of a rank in a window, and how it ended."""

    closed_by: str
    """Why the window closed."""
    lanes: int
    in_flight: int
    """Chunks that all lanes together can have in flight."""
    movers: int
    operations: Mapping[OperationKey, OperationStatistics]
    corruption: str
    """The first read that found other data than was written; '' without any."""
    failure: MlpsError | None
    ended_ns: int | None = None
    """End of the work; None if that is the close of the window."""
    drained_ns: int | None = None
    """End of what was in flight at the close; None if nothing was."""


class CommonWindow:
    """The window of one rank, and what the kernel counted in it."""

    def __init__(
        self,
        window: Window,
        place: RankPlace,
        ranks: Ranks,
        threads: IoThreads | None = None,
    ) -> None:
        self.window = window
        self._clock = window.clock
        self._ranks = ranks
        self._place = place
        self._threads = threads
        """Threads of the lanes; None where other processes do the work."""
        self._throttling = ThrottlingCounter()
        self._offset: ClockOffset
        self._throttled: Throttling
        """Counts of the kernel right before the window."""
        self._throttled_share: float | None
        self._opened_at: float
        self._ends_with_work = False
        self.before: WindowCounters
        """Counters at the start."""
        self.after: WindowCounters
        """Counters at the end."""
        self._storage_before: StorageCounters | None = None
        self._storage_after: StorageCounters | None = None
        self.time: CommonTime
        """Time of this rank in rank 0's, once the window has ended."""

    def compare_clocks(self) -> None:
        """Compare the clocks of all ranks, before the window opens."""
        self._offset = self._compared()

    def _compared(self) -> ClockOffset:
        return self._ranks.clock_offset(self._clock.now_ns, self._clock.number)

    def await_moment(self) -> int:
        """Sleep until a moment that is the same on all ranks, and return it."""
        moment_ns = common_moment_ns(self._ranks, self._clock, self._offset)
        sleep_until(self._clock, moment_ns)
        return moment_ns

    def open(self, length_s: float | None) -> int:
        """Open the window at a moment that is the same on all ranks, and return it.

        `length_s` None: until the work ends, of which none has begun yet.
        """
        self._throttled = self._throttling.read()
        self._ends_with_work = length_s is None
        if self._ends_with_work:
            self._ranks.barrier()  # no rank prepares its work any more
            self._storage_before = StorageCounters.at_start(self.window, self._place.counters)
        opens_ns = common_moment_ns(self._ranks, self._clock, self._offset)
        self.window.open(
            UNLIMITED_S if length_s is None else length_s, opens_ns
        )  # before it: lanes may be at work already
        sleep_until(self._clock, opens_ns)
        return opens_ns

    def read_start(self) -> None:
        """Read the kernel's counters, when the window has just opened."""
        self._opened_at = time.time()
        self.before = WindowCounters.at_start(
            self.window,
            self._place.counters,
            self._threads,
            with_storage=not self._ends_with_work,
        )
        self._storage_before = self.before.storage or self._storage_before

    def read_end(self) -> None:
        """Read the kernel's counters, when the window has closed."""
        self.after = WindowCounters.at_end(
            self.window,
            self._place.counters,
            self._threads,
            with_storage=not self._ends_with_work,
        )
        self._storage_after = self.after.storage
        self._throttled_share = self._throttling.read().share_since(self._throttled)

    def end(self) -> None:
        """Wait for all ranks, and compare their clocks again."""
        self._ranks.barrier()
        if self._ends_with_work:
            self._storage_after = StorageCounters.at_end(self.window, self._place.counters)
        self.time = CommonTime(self._offset, self._compared())

    def record(self, work: RankWork) -> RankWindow:
        """Return the rank's record, after `end`."""
        window, place = self.window, self._place
        before, after = self.before, self.after
        storage_before, storage_after = self._storage_before, self._storage_after
        assert storage_before is not None
        assert storage_after is not None
        ends_ns = window.closes_ns
        if work.ended_ns is not None:
            ends_ns = max(work.ended_ns, window.opened_ns)
        drained_ns = ends_ns if work.drained_ns is None else work.drained_ns
        return RankWindow(
            rank=place.rank,
            host=place.host,
            edges=WindowEdges.of(window.opened_ns, ends_ns, self.time),
            opened_at=self._opened_at,
            window_s=(ends_ns - window.opened_ns) / NS_PER_S,
            drain_s=max(0, drained_ns - ends_ns) / NS_PER_S,
            closed_by=work.closed_by,
            io_mode=place.io_mode,
            lanes=work.lanes,
            in_flight=work.in_flight,
            movers=work.movers,
            chunk_bytes=place.chunk_bytes,
            operations={**work.operations},
            process_traffic=after.process_since(before),
            device_traffic=storage_after.device_since(storage_before),
            underlying_traffic=storage_after.underlying_since(storage_before),
            mount_traffic=storage_after.mount_since(storage_before),
            counted_s=storage_after.seconds_since(storage_before),
            cpu_s=after.cpu_s - before.cpu_s,
            throttled_share=self._throttled_share,
            peak_rss_bytes=peak_rss_bytes(),
            corruption=work.corruption,
            failure=work.failure,
        )
