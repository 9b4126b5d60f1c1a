"""How near a result is to what the harness itself can do on this host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Bound = Literal["storage-bound", "harness-bound", "load-bound", "not calibrated"]

HARNESS_SHARE = 0.8
"""From this share of its ceiling on, a result tells about the harness."""
WAITING_SHARE = 0.5
"""Below this share of the lanes' time in storage calls, the storage waited for the load."""


@dataclass(frozen=True)
class Ceiling:
    """What the same lanes, chunks and checks reach when storage costs nothing. Of one rank."""

    operations_per_s: float
    """Chunks per second over a null tier."""
    gib_s: float
    """Over memory, content included: made, copied and checked."""


@dataclass(frozen=True)
class Rate:
    """What a rank measured on its storage tier."""

    operations_per_s: float
    gib_s: float
    busy_share: float
    """Storage calls' time / window and chunk that may be in flight."""


def ceiling_ratio(rates: Sequence[Rate], ceilings: Sequence[Ceiling | None]) -> float | None:
    """Return measured / ceiling of all ranks together; None where not every rank has a ceiling.

    Of operations or bandwidth: whichever is nearer to its ceiling.
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


def bound_by(ratio: float | None, busy_share: float, device_share: float | None) -> Bound:
    """Say what limited a result.

    Lanes that are in storage calls while no device is at work wait for each other: for Python's
    lock, which a call has to have again before its end is seen, or for a processor.
    """
    if ratio is None:
        return "not calibrated"
    if ratio >= HARNESS_SHARE:
        return "harness-bound"
    if busy_share < WAITING_SHARE:
        return "load-bound"
    is_at_work = device_share is None or device_share >= WAITING_SHARE * busy_share
    return "storage-bound" if is_at_work else "harness-bound"
