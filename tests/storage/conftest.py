"""Fixtures: every store in every mode, and a lane."""

from __future__ import annotations

import functools
import itertools
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.storage.block_files import BlockFiles
from mlpstorage_bench.storage.buffers import BufferPool
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo, IoMode
from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.kernel_queue import QueueKind, QueueRefusedError
from mlpstorage_bench.storage.linux_aio import LinuxAio
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import QUEUES, open_queue
from mlpstorage_bench.storage.slab import Slab
from mlpstorage_bench.storage.store import Chunking, Store
from mlpstorage_bench.storage.transfers import OpenQueue
from mlpstorage_bench.storage.uncached_io import uncached_refusal
from tests.lanes import LoneLane
from tests.memory_kinds import MEMORY_KINDS, MemoryKind, pool_in
from tests.mounts import unmount

CHUNK = 64 * 1024
BLOCK = 160 * 1024  # two and a half chunks: the last of a block is smaller
CAPACITY = 64 << 20


WRITTEN_BACK = "written back"
"""Mode of buffered files whose chunks are written back one by one."""


def file_io(folder: Path, mode: IoMode | Literal["written back"]) -> FileIo:
    if mode == WRITTEN_BACK:
        if BlockDevice.under(folder) is None:
            pytest.skip("this filesystem has no block device")
        return FileIo("buffered", writes_back_chunks=True)
    if mode == "direct" and not probe_direct_io(folder).is_available:
        pytest.skip("this filesystem has no direct I/O")
    if mode == "uncached" and uncached_refusal(folder):
        pytest.skip("this filesystem has no uncached I/O")
    return FileIo(mode)  # type: ignore[arg-type]  # one of the others


LAYOUTS: dict[str, Callable[[Path, FileIo], Store]] = {
    "entry": EntryFiles,
    "block": lambda folder, io: BlockFiles(folder, io, BLOCK),
    "slab": lambda folder, io: Slab(folder, io, BLOCK, CAPACITY),
}
FILE_STORES = [f"{layout}, {mode}" for layout in LAYOUTS for mode in ("direct", "buffered")] + [
    "slab, uncached"
]


def make_store(kind: str, folder: Path) -> Store:
    if kind == "memory":
        return MemoryStore(CHUNK)
    layout, mode = kind.split(", ")
    return LAYOUTS[layout](folder, file_io(folder, mode))  # type: ignore[arg-type]  # a literal


MakeStore = Callable[[str, Path], Store]


@pytest.fixture(scope="session")
def store_of() -> MakeStore:
    """Factory of stores by name."""
    return make_store


@pytest.fixture(params=[*FILE_STORES, "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = make_store(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture(params=FILE_STORES)
def file_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = make_store(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def payload() -> Payload:
    """Content of the lanes' entries: making its random words costs more than most tests."""
    return Payload(5)


PoolOf = Callable[[MemoryKind], BufferPool]


@pytest.fixture(scope="session")
def pool_of() -> PoolOf:
    """Buffers in memory of a kind that lanes share, as in a run: it is touched once."""
    return functools.cache(lambda kind: pool_in(kind, CHUNK, 5))


@functools.cache
def _refusal(kind: QueueKind) -> str:
    try:
        open_queue(kind, 1).queue.close()
    except QueueRefusedError as error:
        return str(error)
    return ""


def opener_of(kind: QueueKind | None) -> OpenQueue | None:
    """Return what opens queues of a kind, None for plain calls; skip where the host has none."""
    if kind is None:
        return None
    if _refusal(kind):
        pytest.skip(_refusal(kind))
    return QUEUES[kind]


QUEUE_KINDS: tuple[QueueKind | None, ...] = (*QUEUES, None)
"""Kinds of queues, and plain calls."""


def lanes_over_all() -> Iterator[object]:
    """Yield queue, memory, and chunks in flight; what most runs have first, the others slow."""
    usual = ("io_uring", "huge pages")
    for count, (kind, memory) in [
        (1, usual),
        *((4, pair) for pair in itertools.product(QUEUE_KINDS, MEMORY_KINDS)),
    ]:
        yield pytest.param(
            (kind, memory, count),
            marks=() if (kind, memory) == usual else pytest.mark.slow,
            id=f"{kind or 'plain calls'}, {memory}, {count} in flight",
        )


ThreadOf = Callable[[QueueKind | None, MemoryKind], IoThread]


@pytest.fixture(scope="session")
def thread_of(pool_of: PoolOf) -> Iterator[ThreadOf]:
    """IO threads that are not started, for lanes of many tests: the kernel closes queues slowly."""
    made: list[IoThread] = []

    @functools.cache
    def thread(kind: QueueKind | None, memory: MemoryKind) -> IoThread:
        made.append(IoThread(opener_of(kind), 4, memory=[pool_of(memory).memory]))
        return made[-1]

    yield thread
    for one in made:
        one.close()


@pytest.fixture(params=lanes_over_all())
def lane(
    request: pytest.FixtureRequest, payload: Payload, pool_of: PoolOf, thread_of: ThreadOf
) -> Iterator[LoneLane]:
    """A lane over each queue, and over plain calls, with memory of each kind."""
    kind, memory, count = request.param
    buffers = pool_of(memory)
    idle = len(buffers._idle)
    with LoneLane(
        *(payload, Chunking(CHUNK, BLOCK), threading.Event()),
        chunks_in_flight=count,
        buffers=buffers,
        thread=thread_of(kind, memory),
    ) as made:
        yield made
        assert (made.thread.transfers.in_flight, len(buffers._idle)) == (0, idle)


class CountingObserver:
    """Counts the transfers, checks and syncs of an entry."""

    def __init__(self) -> None:
        self.moved = 0
        self.chunks = 0
        self.checked = 0
        self.syncs = 0
        self._lock = threading.Lock()

    def chunk(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        assert 0 <= late_ns <= ended_ns - started_ns
        with self._lock:
            self.moved += size
            self.chunks += 1

    def cached(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        assert size > 0
        self.chunk(0, started_ns, ended_ns, late_ns)

    def durable(
        self, started_ns: int, ended_ns: int, cached_bytes: int = 0, late_ns: int = 0
    ) -> None:
        assert 0 <= late_ns <= ended_ns - started_ns
        with self._lock:
            self.syncs += 1
            self.moved += cached_bytes

    def verified(self, started_ns: int, ended_ns: int) -> None:
        assert started_ns <= ended_ns
        with self._lock:
            self.checked += 1


@pytest.fixture
def observer_class() -> type[CountingObserver]:
    return CountingObserver


def kernel_queue(depth: int) -> LinuxAio:
    """Open a queue; skips the test if this host provides none."""
    try:
        return LinuxAio(depth)
    except QueueRefusedError as error:
        pytest.skip(str(error))


BindMount = Callable[..., Path]


@pytest.fixture
def bindfs(tmp_path: Path) -> Iterator[BindMount]:
    """Mount a directory by FUSE, with options of bindfs; skip where that is impossible."""
    program = shutil.which("bindfs")
    if program is None:
        pytest.skip("needs bindfs")
    mounted: list[Path] = []

    def mount(*options: str) -> Path:
        source, place = tmp_path / "source", tmp_path / "fuse"
        for path in (source, place):
            path.mkdir()
        done = subprocess.run(
            [program, *options, str(source), str(place)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"needs FUSE: {done.stderr.decode().strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        unmount(place)
