"""Audit of reported bytes against the kernel's count of bytes moved to and from devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.device import UnderlyingTraffic
from mlpstorage_bench.measure.source import Source
from mlpstorage_bench.units import size_text

Verdict = Literal[
    "ok",
    "through page cache",
    "bounded",
    "not measurable",
    "foreign traffic",
    "in memory",
    "served from page cache",
]

SEVERITY: tuple[Verdict, ...] = (
    "ok",
    "through page cache",
    "bounded",
    "not measurable",
    "foreign traffic",
    "in memory",
    "served from page cache",
)
"""Verdicts from the best to the worst."""
TOLERANCE = 0.01
"""Accepted difference as a share of the kernel's count: a filesystem's own records."""


@dataclass(frozen=True)
class Audit:
    """Result of comparing the reported bytes with the kernel's count."""

    ratio: float | None
    """Reported bytes / counted bytes, reads and writes; None if bounded or not measurable."""
    verdict: Verdict
    reason: str
    cached_bytes: int = 0
    """Reported bytes that the kernel did not count, because they were read from the page cache or
    remained in it; few if the verdict is ok."""


def audit(
    reported: Traffic,
    counted: Traffic | None,
    *,
    doubtful: Traffic,
    counted_by: str,
    behind: str = "a device",
) -> Audit:
    """Compare the bytes reported between two readings of the kernel's counters with the count.

    `counted_by` is "this process", a device or a mount, `behind` what lies behind it. `counted` is
    None if that counter does not change with reads and writes. `doubtful` bytes belong to chunks in
    flight at a reading: the kernel may have counted them before or after it. A difference beyond
    `TOLERANCE` that they can explain neither refutes the reported bytes nor confirms them.
    """
    if counted is None:
        reason = f"no counter of {counted_by} changes with reads and writes here"
        return Audit(None, "not measurable", reason)
    if reported.total == 0:
        return Audit(None, "not measurable", "nothing was read or written")
    ratio = reported.total / counted.total if counted.total else None
    missing, tolerated = _missing(reported, counted), TOLERANCE * counted.total
    cached_bytes, extra = missing.total, counted.total - reported.total
    if _exceeds(missing, doubtful, tolerated) or counted.total == 0:
        reason = f"{_shares(missing, reported)} never reached {behind}"
        return Audit(ratio, "served from page cache", reason, cached_bytes)
    if extra > max(doubtful.total, tolerated):
        reason = (
            f"{extra / counted.total:.1%} of the traffic of {counted_by} is not in the result "
            "(other work, the filesystem's own records, or read-ahead)"
        )
        return Audit(ratio, "foreign traffic", reason, cached_bytes)
    if max(cached_bytes, extra) > tolerated:
        return Audit(None, "bounded", _in_flight(missing, extra, doubtful), cached_bytes)
    return Audit(ratio, "ok", "", cached_bytes)


def audit_underlying(
    reported: Traffic,
    seen: UnderlyingTraffic,
    *,
    doubtful: Traffic,
    host: str,
    is_alone: bool = False,
) -> Audit:
    """Compare reported bytes with those of the devices at the bottom, below files and devices.

    Those may move more, for redundancy and for others, so that a ratio says nothing; if they move
    less, something above keeps the data. `is_alone`: nothing else counts these bytes. Then more
    traffic at the bottom, which may be that of others, does not confirm them.
    """
    underlying, counted = seen.underlying, seen.traffic
    if underlying.memory:
        return Audit(None, "in memory", underlying.memory)
    if underlying.unknown or counted is None:
        reason = underlying.unknown or f"{underlying.names} on {host} does not count"
        return Audit(None, "not measurable", reason)
    missing = _missing(reported, counted)
    tolerated = TOLERANCE * reported.total
    if not _exceeds(missing, doubtful, tolerated):
        if missing.total > tolerated:
            return Audit(None, "bounded", _in_flight(missing, 0, doubtful), missing.total)
        if not is_alone or not _exceeds(
            _missing(counted, reported), doubtful, TOLERANCE * counted.total
        ):
            return Audit(None, "ok", "", missing.total)
        reason = (
            f"{underlying.names} on {host} moved more than was reported, for redundancy or for "
            "others, and nothing else counts these bytes: this neither refutes nor confirms the "
            "result"
        )
        return Audit(None, "bounded", reason, missing.total)
    ratio = reported.total / counted.total if counted.total else None
    reason = (
        f"{_shares(missing, reported)} never reached {underlying.names} on {host}, where the files "
        "lie at last: a page cache in between has them, or they were compressed"
    )
    return Audit(ratio, "served from page cache", reason, missing.total)


def audit_bound(
    reported: Traffic, moved: Traffic, source: Source, *, doubtful: Traffic, host: str, lack: str
) -> Audit:
    """Compare reported bytes with a count that includes other bytes, which can only refute them.

    `lack` is why the filesystem's own counters cannot be used, '' if it has none: with them, the
    bytes could be measured.
    """
    if reported.total == 0:
        return Audit(None, "not measurable", "nothing was read or written")
    where = f"{source.name} on {host}"
    missing = _missing(reported, moved)
    if _exceeds(missing, doubtful, TOLERANCE * reported.total):
        reason = (
            f"{_shares(missing, reported)} did not pass {where} in the window: they came from or "
            "remained in this host, mostly in a cache, or they were compressed"
        )
        ratio = reported.total / moved.total if moved.total else None
        return Audit(ratio, "served from page cache", reason, missing.total)
    limit = (
        f"{where} moved at least as many bytes, with others among them: this neither refutes nor "
        "confirms the result"
    )
    if lack:
        return Audit(None, "not measurable", f"{lack}; {limit}", missing.total)
    return Audit(None, "bounded", limit, missing.total)


def _missing(reported: Traffic, counted: Traffic) -> Traffic:
    """Return the reported bytes that were not counted."""
    return Traffic(
        max(0, reported.read_bytes - counted.read_bytes),
        max(0, reported.write_bytes - counted.write_bytes),
    )


def _exceeds(missing: Traffic, doubtful: Traffic, tolerated: float) -> bool:
    """Return whether more is missing than can be doubtful, or tolerated: reads, writes, or both."""
    return (
        missing.read_bytes > max(doubtful.read_bytes, tolerated)
        or missing.write_bytes > max(doubtful.write_bytes, tolerated)
        or missing.total > max(doubtful.total, tolerated)
    )


def _in_flight(missing: Traffic, extra: int, doubtful: Traffic) -> str:
    """Return why a difference that chunks in flight can explain says nothing."""
    size, what = (extra, "more") if extra > missing.total else (missing.total, "less")
    return (
        f"the kernel counted {size_text(size)} {what} than was reported, and "
        f"{size_text(doubtful.total)} were in flight when its counters were read: this neither "
        "refutes nor confirms the result. "
        "Measure for longer, or with fewer or smaller chunks in flight"
    )


def _shares(missing: Traffic, reported: Traffic) -> str:
    return (
        f"{missing.read_bytes / max(reported.read_bytes, 1):.1%} of reads and "
        f"{missing.write_bytes / max(reported.write_bytes, 1):.1%} of writes"
    )


def is_measured(found: Audit) -> bool:
    """Return whether a counter shows this traffic."""
    return found.verdict != "not measurable"


def through_page_cache(found: Audit, expected: int, reported: int) -> Audit:
    """Return an audit of reads that were asked to go through the page cache: it may have data.

    Of `reported` bytes of a host, it had the `expected` ones. What did not arrive further down,
    beyond these, is in a cache that nobody asked for.
    """
    unasked = found.cached_bytes - expected
    if found.verdict != "served from page cache" or unasked > TOLERANCE * reported:
        return found
    reason = (
        f"the page cache had {expected / max(reported, 1):.1%} of the bytes, as reads went through "
        "it, and the storage the rest"
    )
    return Audit(None, "through page cache", reason, found.cached_bytes)


def worst(audits: Sequence[Audit]) -> Audit:
    """Return the audit with the worst verdict; of several, that with the ratio furthest from 1."""
    return max(audits, key=lambda one: (SEVERITY.index(one.verdict), _distance_from_one(one.ratio)))


def _distance_from_one(ratio: float | None) -> float:
    return 0.0 if ratio is None else abs(ratio - 1)
