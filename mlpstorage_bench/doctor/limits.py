"""Checks of what limits this process: processors, memory, locked memory, open files."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from mlpstorage_bench.doctor.finding import Finding
from mlpstorage_bench.process.limits import Limits, read_limits
from mlpstorage_bench.units import GIB, MIB, counted

_RDMA = Path("/sys/class/infiniband")
_FEW_FILES = 1024
"""Open files that a process may have by default on most systems; a run has a few hundred."""


def check_limits(
    ranks: int = 1, limits: Limits | None = None, rdma: Path = _RDMA
) -> Iterator[Finding]:
    """Yield a finding on each limit, for this number of ranks on this host.

    `rdma` is the kernel's directory of RDMA devices.
    """
    limits = limits or read_limits()
    yield _processors(limits, ranks)
    yield _memory(limits)
    yield _locked_memory(rdma)
    yield _open_files()


def _processors(limits: Limits, ranks: int) -> Finding:
    count, usable = os.cpu_count() or 1, limits.processors
    is_limited = usable is not None and usable.number < count
    number = usable.number if usable is not None and is_limited else count
    seen = f"{number:g} of {count} ({usable.of})" if usable and is_limited else f"all {count}"
    if number < ranks:
        seen = f"{seen}, for {counted(ranks, 'rank')}"
        advice = "They would wait for each other, not for the storage: start fewer, or allow more"
        return Finding("processors", "note", seen, advice)
    return Finding("processors", "note" if is_limited else "ok", seen)


def _memory(limits: Limits) -> Finding:
    least = limits.memory
    if least is None:
        return Finding("memory", "note", "the kernel does not show how much is free")
    seen = f"{least.available_bytes / GIB:.1f} GiB available ({least.of})"
    if limits.process_memory_bytes:
        seen += f"; a process may use {limits.process_memory_bytes / GIB:.2f} GiB of addresses"
        return Finding("memory", "note", seen, "Raise or remove the limit (ulimit -v unlimited)")
    return Finding("memory", "ok", seen)


def _locked_memory(rdma: Path) -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY:
        return Finding("locked memory", "ok", "no limit")
    seen = f"{soft / MIB:g} MiB may be locked"
    if any(rdma.glob("*")):
        advice = "MPI over RDMA locks its buffers: set ulimit -l unlimited on every host"
        return Finding("locked memory", "note", seen, advice)
    return Finding("locked memory", "ok", f"{seen}; only MPI over RDMA needs more")


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return Finding("open files", "ok", "no limit")
    if soft < _FEW_FILES:
        most = "more" if hard == resource.RLIM_INFINITY else str(hard)
        advice = f"Raise the limit: ulimit -n {_FEW_FILES} (the hard limit allows {most})"
        return Finding("open files", "note", f"a process may open {soft}", advice)
    return Finding("open files", "ok", f"a process may open {soft}")
