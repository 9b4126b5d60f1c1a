"""Waits of lanes for other than their transfers: calls that block, and changes by other lanes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from greenlet import getcurrent

from mlpstorage_bench.storage.io_thread import RunningLane

T = TypeVar("T")
P = ParamSpec("P")


class CutOffError(Exception):
    """The operation ended between two chunks because the run is stopping. Not a storage error."""


def off_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a call that may block; other lanes of an IO thread run meanwhile."""
    lane = getcurrent()
    if isinstance(lane, RunningLane) and lane.thread.has_helpers:
        return lane.thread.call(function, *args, **kwargs)
    return function(*args, **kwargs)


class WaitList:
    """Lanes that wait for a change of what they share."""

    def __init__(self) -> None:
        self._lanes: list[RunningLane] = []

    def wait(self, until_ns: int | None = None) -> None:
        """Suspend the current lane until `notify_all`, `resume_all`, or a time (perf_counter).

        Raises RuntimeError outside of an IO thread, where no other lane could change anything.
        """
        lane = getcurrent()
        if not isinstance(lane, RunningLane):
            raise RuntimeError("wait: only a lane of an IO thread can wait for another one")  # noqa: TRY004 - not of a value
        self._lanes.append(lane)
        lane.thread.wait_in_list(lane, until_ns)
        if lane in self._lanes:
            self._lanes.remove(lane)

    def wait_unless(self, stopping: threading.Event) -> None:
        """Suspend the current lane until `notify_all`; raise CutOffError if it is to stop."""
        if not stopping.is_set():  # those that stop lanes set it, and then resume all
            self.wait()
        if stopping.is_set():
            raise CutOffError

    def notify_all(self) -> None:
        """Resume the lanes that wait; any lane may call this."""
        if self._lanes:
            lanes, self._lanes = self._lanes, []
            for lane in lanes:
                lane.thread.resume_from_list(lane)
