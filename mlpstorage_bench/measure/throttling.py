"""Time in which this process was denied a processor: by a quota of its control groups, or stolen.

Control groups of version 1 and 2 count the time for which a quota stopped their threads. The time
that a hypervisor gave to other machines is counted as stolen.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_NS_PER_US = 1000
_STEAL, _TIMES = 7, 8
"""Position of the stolen time in a line of /proc/stat; the number of times that add up to all."""
_ROOT = Path("/")


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

    @classmethod
    def now(cls, root: Path = _ROOT) -> Throttling:
        """Read the counts; `root` has the directories proc and sys."""
        stolen, ticks = _stolen(root / "proc/stat")
        return cls(time.perf_counter_ns(), _stopped_ns(root), stolen, ticks)

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


def _stolen(path: Path) -> tuple[int | None, int]:
    """Return the stolen and all ticks of the host; None and 0 if unknown."""
    try:
        with path.open(encoding="ascii") as file:
            times = [int(word) for word in file.readline().split()[1:]]
    except (OSError, ValueError):
        return None, 0
    return (times[_STEAL], sum(times[:_TIMES])) if len(times) >= _TIMES else (None, 0)


def _stopped_ns(root: Path) -> int | None:
    """Return the largest count among this process's control group and those above it."""
    counts = [count for path in _statistics(root) if (count := _count(path)) is not None]
    return max(counts, default=None)


def _count(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    values = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)  # noqa: PLR2004 - name and value
    if "throttled_usec" in values:
        return int(values["throttled_usec"]) * _NS_PER_US
    return int(values["throttled_time"]) if "throttled_time" in values else None


def _statistics(root: Path) -> Iterator[Path]:
    """Yield the processor statistics of the control group and of those above it."""
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (root / "proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in groups:
        number, controllers, group = line.split(":", 2)
        of_version_1 = set(filter(None, controllers.split(",")))
        if of_version_1 and "cpu" not in of_version_1:
            continue
        for mount in mounts:
            _, where, kind, options, *_ = mount.split()
            is_version_1 = kind == "cgroup" and "cpu" in options.split(",") and of_version_1
            if is_version_1 or (kind == "cgroup2" and number == "0"):
                below = PurePosixPath(group.lstrip("/"))
                for part in (below, *below.parents):
                    yield root / where.lstrip("/") / part / "cpu.stat"
