"""Calls that wait for storage: made by the queue of a lane's IO thread, or else directly.

A queue that makes calls (io_uring) lets other lanes run meanwhile, as a helper does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

from greenlet import getcurrent

from mlpstorage_bench.storage.io_thread import IoThread, RunningLane
from mlpstorage_bench.storage.kernel_queue import FileQueue
from mlpstorage_bench.storage.lane_waits import off_thread

T = TypeVar("T")
P = ParamSpec("P")


class Span(NamedTuple):
    """When a call was made (perf_counter)."""

    started_ns: int
    ended_ns: int
    late_ns: int = 0
    """It may have ended up to this long before `ended_ns`."""


def off_lane(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that opens or syncs files, and blocks otherwise only in `off_thread`.

    Where the queue makes no calls, the whole function runs on a helper, as one call.
    """
    if _thread_with_calls() is not None:
        return function(*args, **kwargs)
    return off_thread(function, *args, **kwargs)


def open_file(path: Path, flags: int, mode: int) -> int:
    """Open a file and return its descriptor. Raises OSError."""
    thread = _thread_with_calls()
    if thread is None:
        return os.open(path, flags, mode)
    name = os.fsencode(path)

    def prepare(queue: FileQueue, slot: int) -> None:
        queue.prepare_open(slot, name, flags, mode)

    return thread.make(prepare).result


def sync_file(descriptor: int, *, data_only: bool) -> Span:
    """Make a file's data durable, and unless `data_only` its attributes. Raises OSError."""
    thread = _thread_with_calls()
    if thread is None:
        sync = os.fdatasync if data_only else os.fsync
        started_ns = time.perf_counter_ns()
        sync(descriptor)
        return Span(started_ns, time.perf_counter_ns())

    def prepare(queue: FileQueue, slot: int) -> None:
        queue.prepare_sync(slot, descriptor, data_only)

    call = thread.make(prepare)
    return Span(call.started_ns, call.ended_ns, call.late_ns)


def _thread_with_calls() -> IoThread | None:
    """Return the IO thread of the lane that runs here, if its queue makes calls."""
    lane = getcurrent()
    if isinstance(lane, RunningLane) and lane.thread.transfers.makes_calls:
        return lane.thread
    return None
