"""Conditions of a trial: everything besides the storage that may have changed its figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrialConditions:
    """Conditions of one trial, over all ranks."""

    moved_gib_s: float
    """Bandwidth of the trial itself, reads and writes together."""
    limit: str
    """`storage`, `harness`, `load` or `not calibrated`."""
    others_gib_s: float | None = None
    """Bandwidth of all other programs on the same devices; None if it cannot be measured."""
    others_on: str = ""
    """Device and host with most of it."""
    stragglers: tuple[str, ...] = ()
    """Ranks and hosts that moved less than their peers and were slower, with their share."""
    missing_share: float = 0.0
    """Share of the bandwidth that is missing because of them."""
    denied_share: float | None = None
    """Share of the window in which the ranks were denied a processor; None if unknown."""
