"""Identity of a process for later: its number alone is given to another process after its end."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

PROC = Path("/proc")
_STATE_FIELD, _START_FIELD = 0, 19
"""Positions of `state` and `starttime` among the fields of proc_pid_stat(5) after the command."""
_ENDED = frozenset("ZXx")
"""States of processes that have ended."""


def boot_id(proc: Path = PROC) -> str:
    """Return the identifier of this host's boot; '' where the kernel does not show it."""
    try:
        return (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def clock_number(proc: Path = PROC) -> int:
    """Return a number below 2**63 of this host's monotonic clock; 0 where it cannot be told.

    Processes with the same number read the same clock: that of one boot of a host, seen through one
    time namespace.
    """
    boot = boot_id(proc)
    if not boot:
        return 0
    names = f"{os.uname().nodename} {boot} {_namespace(proc, 'time')}"
    digest = hashlib.blake2b(names.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def start_of(process_id: int, proc: Path = PROC) -> str | None:
    """Return boot, namespace of process ids and start of a process; None where they are hidden.

    The start is in clock ticks since the boot: no two processes of one number have the same.
    """
    fields = _stat_fields(process_id, proc)
    boot, namespace = boot_id(proc), _namespace(proc, "pid")
    return f"{boot} {namespace} {fields[_START_FIELD]}" if fields and boot and namespace else None


def is_running(process_id: int, start: str | None, seen_s: float, proc: Path = PROC) -> bool | None:
    """Return whether a process of this host still runs; None if that cannot be seen from here.

    `start` is what `start_of` returned for it; without, any process of that number counts. It ran
    at `seen_s`, in seconds since the epoch: before this host's boot, unless another host has the
    same name.
    """
    if start is not None:
        boot, namespace, _ticks = start.split(" ")
        if boot != boot_id(proc):
            is_from_before = seen_s < time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
            return False if is_from_before else None
        if namespace != _namespace(proc, "pid"):
            return None
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # a process of another user: of the same number, but perhaps not the same
    fields = _stat_fields(process_id, proc)
    if fields is None:
        return None
    is_same = start is None or start.split(" ")[2] == fields[_START_FIELD]
    return is_same and fields[_STATE_FIELD] not in _ENDED


def _namespace(proc: Path, kind: str) -> str:
    """Return this process's namespace of a kind; '' where it is hidden, or the kernel has none."""
    try:
        return str((proc / "self/ns" / kind).readlink())
    except OSError:
        return ""


def _stat_fields(process_id: int, proc: Path) -> list[str] | None:
    """Return the fields of a process after its command, which may contain anything."""
    try:
        text = (proc / str(process_id) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields if len(fields) > _START_FIELD else None
