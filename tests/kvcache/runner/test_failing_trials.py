"""Failed and interrupted trials: kept measurements, and removal of all cache files."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.kvcache.runner.context import build_cache, files_in_layout
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.kvcache.runner.worker_pool import WorkerPool
from mlpstorage_bench.measure.clock import RealClock
from mlpstorage_bench.mpi.comm import SoloComm
from mlpstorage_bench.mpi.ranks import Notice
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.failures import storage_error
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.lane_waits import off_thread
from mlpstorage_bench.storage.store import Observer
from mlpstorage_bench.trial.supervisor import TrialSupervisor
from tests.faulty import Faulty
from tests.trials import SoloRanks, context, corrupt_repeatedly, workload


def test_file_that_vanishes_fails_the_trial_with_its_name(tmp_path: Path) -> None:
    here = context(tmp_path)
    done = corrupt_repeatedly(tmp_path, Path.unlink)
    try:
        result = run_trial(workload(duration=30.0), here, SoloRanks())
    finally:
        done.set()
    assert isinstance(result.failure, StorageError)
    assert re.search(r"[0-9a-f]{32}\.kv", str(result.failure))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["entry", "block", "slab"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EDQUOT, errno.ENOSPC])
def test_fault_during_a_trial_closes_all_windows_and_keeps_the_measurements(
    tmp_path: Path, number: int, layout: str
) -> None:
    ranks = SoloRanks()
    result = run_trial(
        workload(duration=30.0, layout=layout, tokens_per_block=40),
        context(tmp_path),
        ranks,
        lambda *given: Faulty(files_in_layout(*given), number, at_transfer=200),
    )
    assert isinstance(result.failure, StorageError)
    assert f"({errno.errorcode[number]})" in str(result.failure)
    assert (result.closed_by, ranks.announced) == ("failure", [Notice.CLOSING])
    assert sum(part.chunks for part in result.operations.values()) >= 199 - 4
    assert 0 < result.window_s < 30
    assert list(tmp_path.iterdir()) == []


class BreaksForAll(EntryFiles):
    """Entry files that fail after all lanes have opened one."""

    def __init__(self, folder: Path, lanes: int) -> None:
        super().__init__(folder, FileIo("buffered"))
        self._all_are_here = threading.Barrier(lanes)

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[Any]:
        with super().writer(name, size, observer):
            off_thread(self._all_are_here.wait, 60)
            raise storage_error("writing", name, OSError(errno.EIO, os.strerror(errno.EIO)))
            yield


def test_failures_of_other_lanes_are_notes_of_the_first(tmp_path: Path) -> None:
    asked = workload(duration=60.0, max_concurrent_allocs=3)
    result = run_trial(asked, context(tmp_path), SoloRanks(), lambda *_: BreaksForAll(tmp_path, 3))
    notes = getattr(result.failure, "__notes__", [])
    assert [bool(re.search(r"on another lane: .*\(EIO\)", note)) for note in notes] == [True, True]


@pytest.mark.parametrize("when", ["preconditioning", "warming up"])
def test_fault_before_the_window_is_raised_without_measurements(tmp_path: Path, when: str) -> None:
    if when == "preconditioning":
        asked = workload(precondition="steady", precondition_gb=1.0)
    else:
        asked = workload(warmup=60.0)
    with pytest.raises(StorageError, match=r"\(EIO\)") as raised:
        run_trial(
            asked,
            context(tmp_path),
            SoloRanks(),
            lambda *given: Faulty(files_in_layout(*given), errno.EIO, 20, for_good=True),
        )
    assert all("on another lane" in note for note in getattr(raised.value, "__notes__", []))
    assert list(tmp_path.iterdir()) == []


class Held(EntryFiles):
    """Entry files that block a lane after opening one, until the test releases it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, FileIo("buffered"))
        self.lanes = 0
        """Set when a lane is blocked."""
        self.released = threading.Event()

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[Any]:
        with super().writer(name, size, observer) as writer:
            self.lanes += 1
            try:
                off_thread(self.released.wait, 60)
                yield writer
            finally:
                self.lanes -= 1


@pytest.mark.slow
def test_lanes_keep_queues_and_files_until_their_end_despite_interrupts(
    tmp_path: Path,
) -> None:
    store = Held(tmp_path)
    main = threading.main_thread().ident
    assert main is not None

    def is_joining() -> bool:
        frames = traceback.walk_stack(sys._current_frames()[main])
        return any(frame.f_code is TrialSupervisor.join.__code__ for frame, _ in frames)

    def interrupt_twice() -> None:
        wait_until(lambda: store.lanes == 4)
        signal.pthread_kill(main, signal.SIGINT)
        wait_until(is_joining)
        time.sleep(0.1)
        signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.2)
        store.released.set()

    interrupting = threading.Thread(target=interrupt_twice)
    interrupting.start()
    comm = SoloComm()
    with pytest.raises(KeyboardInterrupt), comm.handle_stop_signals():
        run_trial(workload(duration=60.0), context(tmp_path), comm, lambda *_: store)
    assert store.released.is_set()
    assert store.lanes == 0, "lanes are still at their files"
    assert list(tmp_path.iterdir()) == []
    interrupting.join()


def test_lanes_that_begin_after_the_trials_end_see_that_it_has_ended(tmp_path: Path) -> None:
    here, asked, clock = context(tmp_path), workload(), RealClock()
    cache = build_cache(asked, here, files_in_layout)
    pool, stopping = WorkerPool(asked, here, cache, clock, [], None), threading.Event()
    threads = IoThreads(1, None, lanes=2, chunks_in_flight=1)
    supervisor = TrialSupervisor(
        threads, stopping, SoloRanks(), on_poll=lambda: None, stop_work=pool.scheduler.stop
    )

    def lasts() -> None:
        stopping.wait()

    work = supervisor.start([lasts, lasts])
    joining = threading.Thread(target=supervisor.join, daemon=True)
    joining.start()
    joining.join(20)
    assert not joining.is_alive()
    assert all(future.done() for future in work)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
