"""Comparison of a result with the harness's own ceiling on this host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

LimitedBy = Literal["storage", "harness", "load", "not calibrated"]

HARNESS_SHARE = 0.8
"""Results at or above this share of the ceiling are limited by the harness."""
WAITING_SHARE = 0.5
"""Results with a smaller share of the lanes' time in storage calls are limited by the load."""


@dataclass(frozen=True)
class Ceiling:
    """Throughput of one rank's lanes, chunks and checks when storage costs nothing."""

    operations_per_s: float
    """Chunks per second on a null store."""
    gib_s: float
    """Bandwidth on memory, including making, copying and checking content."""


@dataclass(frozen=True)
class Rate:
    """Throughput of one rank's storage tier."""

    operations_per_s: float
    gib_s: float
    busy_share: float
    """Time in storage calls / (window x largest number of chunks in flight)."""


def ceiling_ratio(rates: Sequence[Rate], ceilings: Sequence[Ceiling | None]) -> float | None:
    """Return measured / ceiling of all ranks together; None unless every rank has a ceiling.

    The larger of the ratios of operations and of bandwidth.
    """
    measured = [ceiling for ceiling in ceilings if ceiling is not None]
    operations = sum(ceiling.operations_per_s for ceiling in measured)
    gib_s = sum(ceiling.gib_s for ceiling in measured)
    if len(measured) < len(rates) or not operations or not gib_s:
        return None
    return max(
        sum(rate.operations_per_s for rate in rates) / operations,
        sum(rate.gib_s for rate in rates) / gib_s,
    )


def limited_by(ratio: float | None, busy_share: float, device_share: float | None) -> LimitedBy:
    """Return what limited a result.

    Lanes that are in storage calls while the devices are idle wait for each other: for Python's
    lock, which a call needs before it returns, or for a processor.
    """
    if ratio is None:
        return "not calibrated"
    if ratio >= HARNESS_SHARE:
        return "harness"
    if busy_share < WAITING_SHARE:
        return "load"
    is_device_busy = device_share is None or device_share >= WAITING_SHARE * busy_share
    return "storage" if is_device_busy else "harness"
