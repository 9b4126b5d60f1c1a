"""Windows of two sides on the clock of their host, and the time in which both were open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LEAST_SHARE = 0.8
"""Share of the shorter side's windows, or of a second, in which the others have to be open."""


@dataclass(frozen=True)
class Window:
    """A measurement window of all ranks of a trial, in seconds since the epoch."""

    opens_at: float
    closes_at: float

    @property
    def length_s(self) -> float:
        """Its length."""
        return self.closes_at - self.opens_at

    def common_s(self, other: Window) -> float:
        """Return the time in which this window and another one were open."""
        opens_at = max(self.opens_at, other.opens_at)
        return max(0.0, min(self.closes_at, other.closes_at) - opens_at)


def common_s(ours: Sequence[Window], others: Sequence[Window]) -> float:
    """Return the time in which windows of both sides were open; a side's own do not overlap."""
    return sum(one.common_s(other) for one in ours for other in others)


def total_s(windows: Sequence[Window]) -> float:
    """Return the length of a side's windows together."""
    return sum(one.length_s for one in windows)


def overlap_share(ours: Sequence[Window], others: Sequence[Window]) -> float:
    """Return the common time as a share of the windows of the side whose windows are shorter."""
    shorter_s = min(total_s(ours), total_s(others))
    return common_s(ours, others) / shorter_s if shorter_s else 0.0


def overlap_problem(load: Sequence[Window], beside: str, others: Sequence[Window]) -> str | None:
    """Return why a load of the KV cache did not cover the side beside it; None if it did."""
    share = overlap_share(load, others)
    if share >= LEAST_SHARE:
        return None
    return (
        f"The windows of kv_cache ({total_s(load):.1f} s) and {beside} ({total_s(others):.1f} s) "
        f"were both open for {common_s(load, others):.1f} s, {share:.0%} of the shorter ones; "
        f"needed: {LEAST_SHARE:.0%}. Raise the load's length, such as "
        "--mlps-set kv_cache.duration=60"
    )
