"""The storage layer under the simplest load: lanes read or write entries without a pause."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from benchmarks.harness.buffer_order import OrderedBuffers
from benchmarks.harness.written_file import write_once
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.process import cpu_s
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.files import FileIo, IoMode
from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.kernel_queue import QueueChoice
from mlpstorage_bench.storage.lane import Lane, buffers_for
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import QueueOpener
from mlpstorage_bench.storage.slab import Slab
from mlpstorage_bench.storage.store import Chunking, StoredEntry
from mlpstorage_bench.units import GIB

PAIRS = 5
RAMP_S = 0.2
WINDOW_S = 0.7
SHAPES = {
    "1 x 1": (1, 1),
    "1 x 4": (1, 4),
    "4 x 1": (4, 1),
    "1 x 16": (1, 16),
    "16 x 1": (16, 1),
}
"""Number of lanes, and of chunks in flight of each."""


@dataclass(frozen=True)
class Load:
    """A load for the storage, the same for the storage layer and for fio."""

    block_bytes: int
    lanes: int
    chunks_in_flight: int
    """Per lane."""
    read_share: float
    """Share of reads: 1 only reads, 0 only writes."""
    file_bytes: int = GIB
    io_threads: int = 1
    """Threads that serve the lanes."""
    queue: QueueChoice = "auto"

    @property
    def in_flight(self) -> int:
        """Chunks in flight of all lanes: fio's iodepth."""
        return self.lanes * self.chunks_in_flight

    @property
    def entry_bytes(self) -> int:
        """Size of the entries: one block in a mix, because fio reads or writes each block."""
        if 0 < self.read_share < 1:
            return self.block_bytes
        return min(256 * self.block_bytes, self.file_bytes // (4 * self.lanes))


@dataclass(frozen=True)
class Sample:
    """Figures of one run of a load."""

    gib_s: float
    p95_ms: float
    """95th percentile of a chunk's latency: of reads if there are any, else of writes."""
    cpu_s_per_gib: float
    read_share: float
    """Share of read bytes."""
    late_share: float = 0.0
    """Upper bound of the overestimate of all chunks' latencies, as a share of their sum."""


class FlatLoad:
    """Entries in one preallocated file, written once before the first measurement."""

    def __init__(self, directory: Path, load: Load, io_mode: IoMode) -> None:
        self._load = load
        is_within_call = load.queue == "auto" and not probe_direct_io(directory).returns_early
        self._queue: QueueChoice = "linux_aio" if is_within_call else load.queue
        self._payload = Payload(1)
        self._chunking = Chunking(load.block_bytes)
        self.buffers = OrderedBuffers(
            load.block_bytes, buffers_for(load.lanes, load.chunks_in_flight)
        )
        self._entry_bytes = entry_bytes = load.entry_bytes
        self._generations = itertools.count()
        """Each write has its own generation, so no content is written twice."""
        self.path = directory / "slab-000.kv"
        """The file with all entries; fio uses the same."""
        self._slab = Slab(directory, FileIo(io_mode), entry_bytes, load.file_bytes)
        write_once(self.path, load.file_bytes)
        self._entries: dict[str, StoredEntry] = {}
        self._names = [f"entry{number}" for number in range(load.file_bytes // entry_bytes)]
        self.refill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for name in self._entries:
            self._slab.delete(name)
        self._slab.close()

    def run(
        self,
        ramp_s: float,
        window_s: float,
        verify_rate: float = 1.0,
        payload: Payload | None = None,
    ) -> Sample:
        """Run the load and return the figures of the window.

        Another payload goes to the same file, so its position on the disk is the same.
        """
        self.refill()
        window, stopping = Window(), threading.Event()
        recorders = [Recorder(window) for _ in range(self._load.lanes)]
        with self._io_threads() as threads:

            def run_lane(number: int) -> None:
                names = self._names[number :: self._load.lanes]
                lane = self._lane(
                    stopping, threads.of_lane(number), verify_rate, payload or self._payload
                )
                with suppress(CutOffError):
                    self._serve(lane, recorders[number], names, number / self._load.lanes)

            works = threads.start([partial(run_lane, n) for n in range(self._load.lanes)])
            time.sleep(ramp_s)
            before_s = cpu_s()
            window.open(window_s)
            time.sleep(window.remaining_s)
            window.close()
            used_s = cpu_s() - before_s
            stopping.set()
            for work in works:
                work.result()
        return self._sample(recorders, window, used_s)

    def _io_threads(self) -> IoThreads:
        load = self._load
        return IoThreads(
            *(load.io_threads, QueueOpener(self._queue)),
            lanes=load.lanes,
            chunks_in_flight=load.chunks_in_flight,
            memory=[self.buffers.memory],
        )

    def _serve(self, lane: Lane, recorder: Recorder, names: list[str], read_credit: float) -> None:
        """Read and write entries in turn; a lane reads whenever its credit of reads reaches 1."""
        for name in itertools.cycle(names):
            read_credit += self._load.read_share
            if read_credit >= 1:
                read_credit -= 1
                observer = recorder.observe("storage", "read", self._entry_bytes)
                lane.read(self._slab, self._entries[name], observer)
            else:
                self._slab.delete(name)
                del self._entries[name]
                self._write(lane, recorder, name)

    def _write(self, lane: Lane, recorder: Recorder, name: str) -> None:
        observer = recorder.observe("storage", "write", self._entry_bytes)
        self._entries[name] = lane.write(
            self._slab, name, self._entry_bytes, observer, generation=next(self._generations)
        )

    def drop_entries(self) -> None:
        """Drop all entries after another program has overwritten the file."""
        for name in self._entries:
            self._slab.delete(name)
        self._entries.clear()

    def refill(self) -> None:
        """Write the missing entries: all at first, later those whose write was cut off."""
        recorder = Recorder(Window())
        with self._io_threads() as threads:
            lane = self._lane(threading.Event(), threads.of_lane(0), 1.0, self._payload)
            for name in self._names:
                if name not in self._entries:
                    self._write(lane, recorder, name)

    def _lane(
        self, stopping: threading.Event, thread: IoThread, verify_rate: float, payload: Payload
    ) -> Lane:
        return Lane(
            *(payload, self._chunking, stopping, thread),
            chunks_in_flight=self._load.chunks_in_flight,
            verify_rate=verify_rate,
            buffers=self.buffers,
        )

    def _sample(self, recorders: list[Recorder], window: Window, cpu_s: float) -> Sample:
        operations = Recorder.total(recorders)
        moved = sum(part.moved_bytes for part in operations.values())
        read = sum(part.moved_bytes for key, part in operations.items() if key.kind == "read")
        kind = "read" if self._load.read_share else "write"
        calls = Histogram.pooled(o.chunk for key, o in operations.items() if key.kind == kind)
        p95_ms = calls.percentile_ms(95)
        assert p95_ms is not None, "no call ended within the window"
        late_ns = sum(part.latency_overestimate_ns for part in operations.values())
        return Sample(
            moved / GIB / window.length_s,
            p95_ms,
            cpu_s / (moved / GIB),
            read / moved,
            late_ns / sum(part.chunk.sum_ns for part in operations.values()),
        )


def alternate(
    benchmark: Any, *measures: Callable[[], Sample], pairs: int = PAIRS
) -> list[list[Sample]]:
    """Take `pairs` samples of each measure, in turn and in alternating order.

    All measures so meet the same conditions of the storage. Returns a list of samples per measure.
    """
    samples: list[list[Sample]] = [[] for _ in measures]
    turns = list(range(len(measures)))

    def turn() -> None:
        for number in turns:
            samples[number].append(measures[number]())
        turns.reverse()

    benchmark.pedantic(turn, rounds=pairs, iterations=1)
    return samples
