"""Checks of what the kernel provides: asynchronous I/O, huge pages, clocks."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path

from mlpstorage_bench.cluster.disks import SYS, read_fact
from mlpstorage_bench.doctor.finding import Finding
from mlpstorage_bench.storage.buffers import BufferPool
from mlpstorage_bench.storage.kernel_queue import QueueKind, QueueRefusedError
from mlpstorage_bench.storage.queues import QUEUES
from mlpstorage_bench.units import MIB

_QUEUE_DEPTH = 64
_MOST_HUGE_SHARE = 0.9
"""Share of the buffers in huge pages from which the rest does not matter."""
_SLOW_CLOCK_NS = 1000
"""Time of a reading from which clocks cost as much as small transfers."""
_READINGS = 1000
_SERIES = 5
"""Series of readings, of which the fastest counts: other programs interrupt the others."""
_TIMEX_BYTES = 512
_NOT_SYNCHRONISED = 5
"""Answer of adjtimex(2): TIME_ERROR."""
_FAST_SOURCES = "tsc, kvm-clock, arch_sys_counter"


def check_kernel(sysfs: Path = SYS) -> Iterator[Finding]:
    """Yield a finding on each property; `sysfs` is the mount point of the kernel's filesystem."""
    yield from _queues()
    yield _huge_pages(sysfs)
    yield _clock(sysfs)
    yield _wall_clock()


def _queues() -> Iterator[Finding]:
    """Yield a finding on each queue by which a thread has many transfers in flight."""
    refusals: dict[QueueKind, str] = {}
    for kind, make in QUEUES.items():
        try:
            make(_QUEUE_DEPTH).close()
        except QueueRefusedError as error:
            refusals[kind] = str(error)
    for kind in QUEUES:
        if kind not in refusals:
            seen = f"the kernel gives a queue of {_QUEUE_DEPTH} transfers"
            yield Finding(kind, "ok", seen)
        elif len(refusals) == len(QUEUES):
            advice = "Chunks move one after another, and bandwidth may be lower than the storage's"
            yield Finding(kind, "note", refusals[kind], advice)
        else:
            yield Finding(kind, "note", refusals[kind], "Chunks are moved by the other queue")


def _huge_pages(sysfs: Path) -> Finding:
    setting = read_fact(sysfs / "kernel/mm/transparent_hugepage/enabled")
    share = BufferPool(MIB, 16).huge_page_share
    advice = (
        "Direct transfers cost less CPU time with them: echo madvise > "
        "/sys/kernel/mm/transparent_hugepage/enabled, as root"
    )
    if setting is None or "[never]" in setting:
        return Finding("huge pages", "note", "the kernel gives none for buffers", advice)
    if share is None:
        return Finding("huge pages", "note", "the kernel does not show whether buffers have them")
    seen = f"{share:.0%} of the buffers' memory"
    if share < _MOST_HUGE_SHARE:
        return Finding("huge pages", "note", seen, "Memory is fragmented: free or compact it")
    return Finding("huge pages", "ok", seen)


def _clock(sysfs: Path) -> Finding:
    source = read_fact(sysfs / "devices/system/clocksource/clocksource0/current_clocksource")
    cost_ns = min(_reading_ns() for _ in range(_SERIES))
    seen = f"{source or 'of unknown source'}, {cost_ns:.0f} ns a reading"
    if cost_ns > _SLOW_CLOCK_NS:
        advice = f"Latencies of small transfers are too high: use a fast source ({_FAST_SOURCES})"
        return Finding("clock", "note", seen, advice)
    return Finding("clock", "ok", seen)


def _reading_ns() -> float:
    begin_ns = time.perf_counter_ns()
    for _ in range(_READINGS):
        time.perf_counter_ns()
    return (time.perf_counter_ns() - begin_ns) / _READINGS


def _wall_clock() -> Finding:
    answer = ctypes.create_string_buffer(_TIMEX_BYTES)  # of zeroes: asks, and sets nothing
    state = ctypes.CDLL(None, use_errno=True).adjtimex(answer)
    if state < 0:
        number = ctypes.get_errno()
        return Finding("wall clock", "note", f"its state is not known: {os.strerror(number)}")
    if state == _NOT_SYNCHRONISED:
        return Finding(
            "wall clock",
            "note",
            "not synchronised",
            "Timestamps of hosts, and the order of runs in the history, may be wrong: start NTP "
            "(chrony). Measurements do not use it",
        )
    return Finding("wall clock", "ok", "synchronised")
