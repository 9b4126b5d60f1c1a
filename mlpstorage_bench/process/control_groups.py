"""Control groups of this process, with those above it, and the numbers in their files.

Groups are nested, and what each one above limits or counts is of this process as well (cgroups(7);
both versions).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
ROOT = Path("/")
_UNIFIED = ""
"""Controller of the hierarchy of version 2 in /proc/self/cgroup: it has them all."""


@dataclass(frozen=True)
class ControlGroup:
    """A control group of this process, in one hierarchy."""

    directory: Path
    """Its directory below the root."""
    name: str
    """Its directory as this process names it."""
    is_unified: bool
    """Whether it is of version 2."""


def control_groups(proc: Path, root: Path) -> Iterator[ControlGroup]:
    """Yield the groups of this process in every hierarchy, each with all groups above it."""
    paths = {}
    for line in text_of(proc / "self/cgroup").split("\n"):
        _number, _, rest = line.partition(":")
        controllers, separator, path = rest.partition(":")
        if separator:
            paths.update(dict.fromkeys(controllers.split(","), path))
    for mount in _mounts(proc):
        for controller in mount.controllers & paths.keys():
            within = _within(paths[controller], mount.root)
            for depth in range(len(within), -1, -1):
                name = Path(mount.point, *within[:depth])
                directory = root / name.relative_to("/")
                yield ControlGroup(directory, str(name), is_unified=controller == _UNIFIED)


@dataclass(frozen=True)
class _Mount:
    """A mounted hierarchy of control groups."""

    root: str
    """The group at its mount point."""
    point: str
    controllers: set[str]
    """Those that limit processors or memory; of version 2, `_UNIFIED`."""


def _mounts(proc: Path) -> Iterator[_Mount]:
    for line in text_of(proc / "self/mountinfo").split("\n"):
        before, _, after = line.partition(" - ")
        fields, source = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(source) < 3 or not fields[4].startswith("/"):  # noqa: PLR2004 - as in proc_pid_mountinfo(5)
            continue
        point = (_unescape(fields[3]), _unescape(fields[4]))
        if source[0] == "cgroup2":
            yield _Mount(*point, {_UNIFIED})
        elif source[0] == "cgroup":
            yield _Mount(*point, {"memory", "cpu"} & {*source[2].split(",")})


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda escape: chr(int(escape[1], 8)), field)


def _within(path: str, mount_root: str) -> list[str]:
    """Return the names from a mount's root to a group; none where the group is not below it.

    A container may see the path of its group on the host, or one that leads out of its own root.
    """
    names, above = [*Path(path).parts[1:]], [*Path(mount_root).parts[1:]]
    is_below = names[: len(above)] == above and ".." not in names
    return names[len(above) :] if is_below else []


def text_of(path: Path) -> str:
    """Return a file's text; '' where it is missing or hidden."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def number_of(path: Path) -> int | None:
    """Return the number that is a file's content; None for any other content."""
    text = text_of(path).strip()
    return int(text) if text.isdecimal() else None


def numbers_of(path: Path) -> dict[str, int]:
    """Return the numbers of a file with lines of a name, a number and perhaps a unit."""
    found = {}
    for line in text_of(path).split("\n"):
        match line.split():
            case [name, number, *_] if number.isdecimal():
                found[name] = int(number)
            case _:
                pass
    return found
