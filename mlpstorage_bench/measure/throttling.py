"""Time in which this process was denied a processor: by a quota of its control groups, or stolen.

Control groups of version 1 and 2 count the time for which a quota stopped their threads. The time
that a hypervisor gave to other machines is counted as stolen.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.process.control_groups import (
    PROC,
    ROOT,
    ControlGroup,
    control_groups,
    numbers_of,
    text_of,
)

_NS_PER_US = 1000
_STEAL, _TIMES = 7, 8
"""Position of the stolen time in a line of /proc/stat; the number of times that add up to all."""


@dataclass(frozen=True)
class Throttling:
    """The kernel's counts at one moment."""

    moment_ns: int
    """Time of `perf_counter_ns`."""
    stopped_ns: int | None
    """Time for which a quota stopped threads of the control group; None without a count."""
    stolen: int | None
    """Ticks of all processors of the host that the hypervisor gave to others; None if unknown."""
    ticks: int = 0
    """All ticks of all processors of the host."""

    def share_since(self, before: Throttling) -> float | None:
        """Return the share of the time since another reading; None if there is no count.

        A quota stops a group's threads on each processor alone, so that the share is an upper
        bound where several run.
        """
        shares = []
        elapsed_ns, ticks = self.moment_ns - before.moment_ns, self.ticks - before.ticks
        if self.stopped_ns is not None and before.stopped_ns is not None and elapsed_ns > 0:
            shares.append(min(1.0, max(0, self.stopped_ns - before.stopped_ns) / elapsed_ns))
        if self.stolen is not None and before.stolen is not None and ticks > 0:
            shares.append(max(0, self.stolen - before.stolen) / ticks)
        return max(shares, default=None)


class ThrottlingCounter:
    """Reader of the counts, which has found their files before a window opens."""

    def __init__(self, proc: Path = PROC, root: Path = ROOT) -> None:
        """Find the control groups.

        `proc` is the mount point of procfs, and `root` the directory of the paths that it names.
        """
        self._stat = proc / "stat"
        self._control_groups = [
            one for one in control_groups(proc, root) if _count(one) is not None
        ]

    def read(self) -> Throttling:
        """Return the counts now; the largest of this process's groups and those above them."""
        counts = [count for group in self._control_groups if (count := _count(group)) is not None]
        stolen, ticks = _stolen(self._stat)
        return Throttling(time.perf_counter_ns(), max(counts, default=None), stolen, ticks)


def _stolen(path: Path) -> tuple[int | None, int]:
    """Return the stolen and all ticks of the host; None and 0 if unknown."""
    line, _, _ = text_of(path).partition("\n")
    times = [int(word) for word in line.split()[1:] if word.isdecimal()]
    return (times[_STEAL], sum(times[:_TIMES])) if len(times) >= _TIMES else (None, 0)


def _count(group: ControlGroup) -> int | None:
    counts = numbers_of(group.directory / "cpu.stat")
    if group.is_unified:
        stopped_us = counts.get("throttled_usec")
        return None if stopped_us is None else stopped_us * _NS_PER_US
    return counts.get("throttled_time")
