"""Reported bytes against the kernel's own count of what moved to and from devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.measure.counters import Traffic

Verdict = Literal["ok", "served from page cache", "foreign traffic", "not measurable"]

SEVERITY: tuple[Verdict, ...] = (
    "ok",
    "not measurable",
    "foreign traffic",
    "served from page cache",
)
"""From the best to the worst."""
TOLERANCE = 0.01


@dataclass(frozen=True)
class Audit:
    """How the bytes that are reported compare with what the kernel counted."""

    ratio: float | None
    """Reported bytes / the kernel's bytes, reads and writes together; None when not measurable."""
    verdict: Verdict
    reason: str
    cached_bytes: int = 0
    """Reported bytes that the kernel did not count, few of them where the verdict is ok: served
    from the page cache, or left in it."""


def audit(reported: Traffic, counted: Traffic | None, *, doubtful_bytes: int, whose: str) -> Audit:
    """Compare the bytes reported between two readings of the kernel's counters with these.

    `whose` names the counters: "this process" or a device; there are none where they do not move
    with what is written and read. Of `doubtful_bytes` nobody can tell on
    which side of a reading the kernel counted them: they are no discrepancy, and neither is
    `TOLERANCE` where that is more (a filesystem's own records).
    """
    if counted is None:
        reason = f"no counter of {whose} moves with what is written and read here"
        return Audit(None, "not measurable", reason)
    if reported.total == 0:
        return Audit(None, "not measurable", "nothing was read or written")
    slack = max(doubtful_bytes, TOLERANCE * counted.total)
    ratio = reported.total / counted.total if counted.total else None
    unread = max(0, reported.read_bytes - counted.read_bytes)
    unwritten = max(0, reported.write_bytes - counted.write_bytes)
    cached_bytes = unread + unwritten
    if max(unread, unwritten) > slack or counted.total == 0:
        reason = (
            f"{unread / max(reported.read_bytes, 1):.1%} of reads and "
            f"{unwritten / max(reported.write_bytes, 1):.1%} of writes never reached a device"
        )
        return Audit(ratio, "served from page cache", reason, cached_bytes)
    if counted.total > reported.total + slack:
        extra = (counted.total - reported.total) / counted.total
        reason = (
            f"{extra:.1%} of the traffic of {whose} is not in the result (other work, the "
            "filesystem's own records, or what it read ahead)"
        )
        return Audit(ratio, "foreign traffic", reason, cached_bytes)
    return Audit(ratio, "ok", "", cached_bytes)


def furthest_from_one(ratios: Sequence[float | None]) -> float | None:
    """Return the ratio that is the most suspicious; None where none was measured."""
    measured = [ratio for ratio in ratios if ratio is not None]
    return max(measured, key=lambda ratio: abs(ratio - 1)) if measured else None
