"""Reported bytes against the kernel's own count of what this process moved to and from devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.measure.process import ProcessCounters

Verdict = Literal["ok", "served from page cache", "foreign traffic", "not measurable"]

TOLERANCE = 0.01


@dataclass(frozen=True)
class Audit:
    """How the bytes that a rank reports compare with what the kernel counted."""

    ratio: float | None
    """Reported bytes / the kernel's bytes, reads and writes together; None when not measurable."""
    verdict: Verdict
    reason: str


def audit(
    read_bytes: int,
    write_bytes: int,
    before: ProcessCounters,
    after: ProcessCounters,
    *,
    edge_bytes: int,
) -> Audit:
    """Compare the bytes reported for a window with the kernel's counters at its two edges.

    The kernel counts a transfer when it starts, we when it has ended: up to `edge_bytes` (the
    chunks of all lanes) may fall on different sides of an edge, so that much is no discrepancy.
    """
    moved = _kernel_bytes(before, after)
    if moved is None:
        return Audit(None, "not measurable", "/proc/self/io cannot be read here")
    reported = read_bytes + write_bytes
    if moved == 0:
        return _audit_without_device_traffic(read_bytes, write_bytes)
    ratio = reported / moved
    slack = edge_bytes + TOLERANCE * moved
    if reported > moved + slack:
        missing = (reported - moved) / reported
        return Audit(ratio, "served from page cache", f"{missing:.0%} never reached a device")
    if moved > reported + slack:
        extra = (moved - reported) / moved
        reason = f"{extra:.0%} of this process's device traffic is not in the result"
        return Audit(ratio, "foreign traffic", reason)
    return Audit(ratio, "ok", "")


def _kernel_bytes(before: ProcessCounters, after: ProcessCounters) -> int | None:
    if before.device_bytes is None or after.device_bytes is None:
        return None
    return after.device_bytes - before.device_bytes


def _audit_without_device_traffic(read_bytes: int, write_bytes: int) -> Audit:
    if write_bytes:
        reason = "this filesystem's traffic passes no block layer of this host (memory or network)"
        return Audit(None, "not measurable", reason)
    if read_bytes:
        return Audit(None, "served from page cache", "no read reached a device")
    return Audit(None, "not measurable", "nothing was read or written")
