"""Checks of the cache directory: whether it can be used, direct I/O, flushes, counters."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from mlpstorage_bench.cluster.device_stack import find_mounts_below, find_underlying
from mlpstorage_bench.cluster.filesystems import (
    SYSTEM_DISK_ADVICE,
    CacheFilesystem,
    describe_cache_filesystem,
)
from mlpstorage_bench.cluster.findings import FLUSH, checks_of
from mlpstorage_bench.cluster.integrity import describe_integrity, describe_process
from mlpstorage_bench.cluster.mount_counters.find import find_sources
from mlpstorage_bench.doctor.finding import Finding
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.storage.direct_io import DirectIo, probe_direct_io
from mlpstorage_bench.storage.directory import RankDirectory, check_cache_dir
from mlpstorage_bench.storage.page_cache_probe import probe_page_cache
from mlpstorage_bench.storage.uncached_io import uncached_refusal
from mlpstorage_bench.units import KIB

_UNPROBED = ("direct I/O", "uncached I/O", "flushes", "audit")
"""Checks that need a cache directory that can be used."""
_UNCACHED = "files can move through the page cache without staying in it"


def check_storage(cache_dir: Path) -> Iterator[Finding]:
    """Yield a finding on each property of a cache directory.

    Files are written as a run's first rank does, and removed again, also if this process is killed.
    """
    try:
        check_cache_dir(cache_dir)
        with RankDirectory(cache_dir, 0) as own:
            found = [*_probed(own, describe_cache_filesystem(cache_dir))]
    except MlpsError as error:
        yield Finding("cache directory", "problem", str(error))
        for name in _UNPROBED:
            yield Finding(name, "note", "not checked, for the reason above")
        return
    yield from found


def _probed(own: RankDirectory, filesystem: CacheFilesystem) -> Iterator[Finding]:
    yield _place(filesystem, can_be_replaced=own.can_be_replaced)
    direct_io = probe_direct_io(own.path)
    yield _direct_io(direct_io, filesystem)
    yield _uncached_io(own.path)
    yield _flushes(own.path, is_buffered=not direct_io.is_available)
    yield _audit(own.path)


def _place(filesystem: CacheFilesystem, *, can_be_replaced: bool) -> Finding:
    seen = (
        f"{filesystem.path}: {filesystem.fstype} on {filesystem.device}, mounted at "
        f"{filesystem.mount_point}"
    )
    if filesystem.is_in_memory:
        advice = "Its files are in memory: name a directory on the storage to be measured"
        return Finding("cache directory", "note", seen, advice)
    if filesystem.is_of_system:
        seen = f"{seen}: the filesystem of the operating system"
        return Finding("cache directory", "note", seen, SYSTEM_DISK_ADVICE)
    if can_be_replaced:
        advice = "Other users can replace files in it: remove their permission to write there"
        return Finding("cache directory", "note", seen, advice)
    return Finding("cache directory", "ok", seen)


def _direct_io(direct_io: DirectIo, filesystem: CacheFilesystem) -> Finding:
    if direct_io.alignment_bytes is not None:
        if filesystem.is_in_memory:
            return Finding("direct I/O", "note", f"{filesystem.fstype} accepts it without effect")
        unit = direct_io.alignment_bytes // KIB
        return Finding("direct I/O", "ok", f"files bypass the page cache, in units of {unit} KiB")
    return Finding(
        "direct I/O",
        "note",
        f"none on {filesystem.fstype} ({direct_io.reason})",
        "Files go through the page cache, which is flushed and dropped around each entry: name "
        "another filesystem if that is not what you measure",
    )


def _uncached_io(directory: Path) -> Finding:
    refusal = uncached_refusal(directory)
    seen = f"none ({refusal}); only io_mode=uncached needs it" if refusal else _UNCACHED
    return Finding("uncached I/O", "ok", seen)


def _flushes(directory: Path, *, is_buffered: bool) -> Finding:
    host, process = socket.gethostname(), describe_process(0)
    states = probe_page_cache(directory, ["fsync"], lambda: _written(directory))
    facts = describe_integrity(host, process, directory, states)
    checks = checks_of([facts], is_buffered=is_buffered)
    untrue = [f"{one.check}: {one.seen}" for one in checks if one.verdict == "finding"]
    unknown = [f"{one.check}: {one.seen}" for one in checks if one.verdict == "not measurable"]
    if untrue:
        advice = "Figures are those of memory: see docs/closed-mode.md for what causes this"
        return Finding("flushes", "problem", "; ".join(untrue), advice)
    if unknown:
        advice = "A run in mode closed is INVALID where this cannot be measured"
        return Finding("flushes", "note", "; ".join(unknown), advice)
    return Finding("flushes", "ok", next(one.seen for one in checks if one.check == FLUSH))


def _written(directory: Path) -> int | None:
    device = BlockDevice.under(directory)
    counter = None if device is None or not device.counts else device.open_counter()
    if counter is None:
        return None
    with counter:
        reading = counter.read()
    return None if reading is None else reading.traffic.write_bytes


def _audit(directory: Path) -> Finding:
    underlying = find_underlying(directory)
    unconfirmed = "Nothing confirms the bytes that a run reports"
    if underlying.memory:
        return Finding("audit", "note", f"files lie in memory: {underlying.memory}", unconfirmed)
    if underlying.devices and not underlying.unknown:
        return Finding("audit", "ok", f"the kernel counts what {underlying.names} moves")
    below = find_mounts_below(directory)
    found = find_sources(below[0]) if len(below) == 1 else None
    if found is None or not found.sources:
        reason = found.reason if found is not None and found.reason else underlying.unknown
        return Finding("audit", "note", reason or "no counter of this filesystem", unconfirmed)
    best = found.sources[0].source
    if best.strength == "exact":
        return Finding("audit", "ok", f"the kernel counts what {best.name} moves")
    seen = f"only {best.name} count: other traffic is counted, too"
    return Finding("audit", "note", seen, "Bytes that a run reports have an upper bound only")
