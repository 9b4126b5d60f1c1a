"""Verdicts on the facts about hosts: whether files reach the storage when the engine says so.

State decides, never time: drives whose caches survive a power cut flush in microseconds honestly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mlpstorage_bench.cluster.integrity import HostIntegrity, MountFacts
from mlpstorage_bench.storage.page_cache_probe import PROBE_BYTES, FlushState
from mlpstorage_bench.units import MIB

Verdict = Literal["ok", "finding", "not measurable"]

FUNCTIONS = "functions of the C library"
FLUSH = "flush of the page cache"
DROP = "drop of cached pages"
BARRIERS = "flushes of the filesystem"

_WITHOUT_PAGES = {
    **dict.fromkeys(("tmpfs", "ramfs", "devtmpfs", "hugetlbfs"), "keeps files in memory"),
    "zfs": "has a cache of its own",
}
_OPTIONS_WITHOUT_PAGES = {
    "sync": "writes at once (mounted with sync)",
    "dax": "has no page cache (mounted with dax)",
    "dax=always": "has no page cache (mounted with dax)",
}
_NO_BARRIERS = frozenset({"nobarrier", "barrier=0", "barrier=none", "fsync_mode=nobarrier"})
"""Options with which flushes do not reach the device: of ext4, XFS and btrfs, of ext3, of reiserfs,
of f2fs."""
_VOLATILE = frozenset({"volatile", "fsync=volatile"})
"""Options with which overlayfs flushes nothing; the second is that of newer kernels."""
_RESUMED = ", before the run was resumed"
_MOST_CACHED = 0.01
"""Share of a file's pages that may stay in the page cache."""


@dataclass(frozen=True)
class Check:
    """The verdict on one property of a host."""

    check: str
    """Name of the property."""
    host: str
    verdict: Verdict
    seen: str
    """Observed state, in words."""


def checks_of(hosts: Sequence[HostIntegrity], *, is_buffered: bool) -> list[Check]:
    """Return the verdicts on every host.

    `is_buffered`: whether the run uses the page cache, so that it relies on dropping pages.
    """
    return [check for host in hosts for check in _checks_of(host, is_buffered=is_buffered)]


def with_earlier(checks: Sequence[Check], findings: Sequence[Check]) -> list[Check]:
    """Return checks with the findings of a run's earlier parts, whose trials stay in the run."""
    earlier = [
        replace(one, seen=f"{one.seen.removesuffix(_RESUMED)}{_RESUMED}")
        for one in findings
        if one not in checks
    ]
    return [*checks, *dict.fromkeys(earlier)]


def _checks_of(host: HostIntegrity, *, is_buffered: bool) -> Iterator[Check]:
    yield Check(FUNCTIONS, host.hostname, *judge_functions(host))
    yield Check(FLUSH, host.hostname, *judge_flush(host))
    if is_buffered:
        yield Check(DROP, host.hostname, *judge_drop(host))
    yield Check(BARRIERS, host.hostname, *judge_mounts(host.mounts))


def judge_functions(host: HostIntegrity) -> tuple[Verdict, str]:
    """Judge whether the functions that move and flush data are the C library's."""
    replaced = [
        f"{name} is in {path}{_of_ranks(process.ranks, host)}"
        for process in host.processes
        for name, path in process.functions.replaced.items()
    ]
    if replaced:
        return "finding", ", ".join(replaced)
    problems = [p.functions.problem for p in host.processes if p.functions.problem]
    if problems:
        return "not measurable", problems[0]
    return "ok", f"all are in {', '.join(host.processes[0].functions.c_library)}"


def _of_ranks(ranks: Sequence[int], host: HostIntegrity) -> str:
    """Return which ranks are meant, in words; '' if all of the host are."""
    return "" if len(host.processes) == 1 else f" (ranks {', '.join(map(str, ranks))})"


def judge_flush(host: HostIntegrity) -> tuple[Verdict, str]:
    """Judge whether a flush leaves no page that is still to be written."""
    reason = _without_pages(host.mounts)
    if reason:
        return "not measurable", reason
    verdicts = [_judge_one_flush(flush, host) for flush in host.page_cache.flushes]
    found = [text for verdict, text in verdicts if verdict == "finding"]
    unknown = [text for verdict, text in verdicts if verdict == "not measurable"]
    problem = host.page_cache.problem
    if found:
        return "finding", ", ".join(found)
    if unknown or problem or not verdicts:
        return "not measurable", problem or ", ".join(unknown) or "nothing was flushed"
    return "ok", ", ".join(text for _, text in verdicts)


def _judge_one_flush(flush: FlushState, host: HostIntegrity) -> tuple[Verdict, str]:
    before, after = flush.unwritten_before, flush.unwritten_after
    if before is None or after is None:
        return _judge_device_bytes(flush)
    if before == 0:
        return "not measurable", f"no page was dirty before {flush.call}"
    pages = host.page_cache.pages
    if after:
        return "finding", f"{after} of {pages} pages are still to be written after {flush.call}"
    return "ok", f"{before} of {pages} pages were dirty before {flush.call}, none after it"


def _judge_device_bytes(flush: FlushState) -> tuple[Verdict, str]:
    """Judge a flush by the bytes of the device, where pages cannot be counted."""
    if flush.device_bytes is None:
        return "not measurable", f"neither pages nor a device count what {flush.call} writes"
    text = (
        f"until after {flush.call} of {PROBE_BYTES // MIB} MiB, the device wrote "
        f"{flush.device_bytes / MIB:.1f} MiB"
    )
    return ("ok" if flush.device_bytes >= PROBE_BYTES else "finding"), text


def judge_drop(host: HostIntegrity) -> tuple[Verdict, str]:
    """Judge whether dropped pages leave the page cache."""
    states = host.page_cache
    reason = _without_pages(host.mounts) or states.problem
    if not reason and any(flush.unwritten_before == 0 for flush in states.flushes):
        reason = "no page was dirty before the flush: the kernel counts other pages"
    before, after = states.cached_before_drop, states.cached_after_drop
    if reason or before is None or after is None:
        return "not measurable", reason or "cached pages cannot be counted"
    if before == 0:
        return "not measurable", "no page was cached before the drop"
    text = f"{before} of {states.pages} pages were cached before the drop, {after} after it"
    return ("finding" if after > _MOST_CACHED * states.pages else "ok"), text


def _without_pages(mounts: Sequence[MountFacts]) -> str:
    """Return why pages of the cache directory's filesystem say nothing; '' if they do.

    An overlay's files are those of the filesystem below it.
    """
    first = next((n for n, mount in enumerate(mounts) if mount.fstype != "overlay"), 0)
    for mount in mounts[: first + 1]:
        if mount.fstype in _WITHOUT_PAGES:
            return f"{mount.fstype} {_WITHOUT_PAGES[mount.fstype]}"
        for option in mount.options:
            if option in _OPTIONS_WITHOUT_PAGES:
                return f"{mount.fstype} {_OPTIONS_WITHOUT_PAGES[option]}"
    return ""


def judge_mounts(mounts: Sequence[MountFacts]) -> tuple[Verdict, str]:
    """Judge whether the filesystems under the cache directory pass flushes on."""
    found = [
        f"{mount.mount_point} ({mount.fstype}) is mounted with {option}"
        for mount in mounts
        for option in mount.options
        if option in _NO_BARRIERS or (mount.fstype == "overlay" and option in _VOLATILE)
    ]
    if found:
        return "finding", ", ".join(found)
    if not mounts:
        return "not measurable", "the kernel lists no mount of the cache directory"
    return "ok", ", ".join(f"{mount.mount_point} ({mount.fstype})" for mount in mounts)
