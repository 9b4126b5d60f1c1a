"""Comparison of a result with the harness's own ceiling on this host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.measure.lane_time import LaneTime

LimitedBy = Literal["storage", "harness", "load", "unknown", "not calibrated"]
STORAGE: LimitedBy = "storage"
HARNESS: LimitedBy = "harness"
LOAD: LimitedBy = "load"

MEMORY_SHARE = 0.5
"""Share of the bytes in this host's memory above which its figure is not the storage's."""
HARNESS_SHARE = 0.8
"""Results at or above this share of the ceiling are limited by the harness."""


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


def limited_by(
    ratio: float | None,
    lane_time: LaneTime | None,
    memory_share: float = 0.0,
    *,
    can_be_load: bool = True,
) -> LimitedBy:
    """Return what limited a result: the ceiling, or what most of the lanes' time was spent on.

    Lanes wait for storage wherever it is slow: in a device, in a network, or in a limit above the
    devices that leaves them idle. A copy by a processor is work of the harness, as in memory. Waits
    for data that is in this host's memory, of which there is `memory_share`, are the host's, too.
    Without `can_be_load`, waits for requests are left out: it is known that the load was more.
    """
    if ratio is None:
        return "not calibrated"
    if ratio >= HARNESS_SHARE:
        return HARNESS
    if lane_time is None:
        return "unknown"
    spent: dict[LimitedBy, float] = {
        STORAGE: lane_time.storage_s,
        HARNESS: lane_time.harness_s,
    }
    if can_be_load:
        spent[LOAD] = lane_time.request_s
    limit = max(spent, key=lambda one: spent[one])
    return HARNESS if limit == STORAGE and memory_share > MEMORY_SHARE else limit
