"""Figures of a case as reports draw them: distributions, shares, and bandwidth by rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.measure.time_series import TimeSeries


@dataclass(frozen=True)
class Distribution:
    """A distribution of latencies, pooled over ranks and trials."""

    name: str
    """The operation in words."""
    kind: Literal["read", "write"]
    is_of_parts: bool
    """Whether samples are parts of an entry; otherwise they are whole entries."""
    samples: int
    points: tuple[tuple[float, float], ...]
    """Percent and milliseconds, in ascending order; the last one is the maximum, at 100 %."""


@dataclass(frozen=True)
class Share:
    """A whole and its parts."""

    name: str
    parts: tuple[tuple[str, float], ...]
    """Name and amount of each part."""

    @property
    def total(self) -> float:
        """The whole."""
        return sum(amount for _, amount in self.parts)


@dataclass(frozen=True)
class ShareGroup:
    """Wholes with the same kinds of parts."""

    title: str
    meaning: str
    """One sentence."""
    unit: str
    """Unit of the amounts; '' for a number of things."""
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class RankBandwidth:
    """Bandwidth of one rank, the mean over trials."""

    rank: int
    host: str
    reading_gib_s: float
    writing_gib_s: float
    trials: tuple[tuple[int, TimeSeries], ...] = ()
    """Its own part of each trial by second, with the trial's number."""


@dataclass(frozen=True)
class Level:
    """A ratio that is compared with 1."""

    name: str
    ratio: float
    remark: str = ""
    """Its meaning for the result, in words."""


@dataclass(frozen=True)
class CaseFigures:
    """Figures of one case beyond its metrics."""

    case: str
    title: str = ""
    """Words for the case; '' if it has none."""
    parameters: Json = field(default_factory=dict)
    """All of them."""
    was_simulated: bool = False
    """Whether no storage was used: the figures are the demand of the workload."""
    io_modes: tuple[str, ...] = ()
    """How its files were moved, such as `direct`."""
    samples: Mapping[str, int] = field(default_factory=dict)
    """Number of samples of each metric that is a percentile."""
    distributions: tuple[Distribution, ...] = ()
    shares: tuple[ShareGroup, ...] = ()
    levels: tuple[Level, ...] = ()
    ranks: tuple[RankBandwidth, ...] = ()
