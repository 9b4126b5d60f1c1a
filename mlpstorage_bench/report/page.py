"""Content of a report, from top to bottom, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.report.charts.marks import Figure
from mlpstorage_bench.report.tables import Section


@dataclass(frozen=True)
class Verdict:
    """The outcome in one sentence."""

    kind: Literal["good", "bad", "unsure"]
    word: str
    reason: str


@dataclass(frozen=True)
class Tile:
    """One headline figure."""

    label: str
    value: str
    unit: str = ""
    beside: str = ""
    """Its spread, or its number of samples, in words."""


@dataclass(frozen=True)
class Fact:
    """A fact with its name."""

    name: str
    text: str


@dataclass(frozen=True)
class Block:
    """Tables and figures under one title."""

    title: str
    sections: tuple[Section, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    on_demand_title: str = ""
    on_demand: tuple[Figure, ...] = ()
    """Figures that are folded inside the block."""
    is_folded: bool = False
    """Whether its content is shown on demand."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.figures or self.notes or any(one.rows for one in self.sections))


@dataclass(frozen=True)
class Page:
    """Content of a report: its first screen, then blocks."""

    title: str
    verdict: Verdict | None = None
    tiles_title: str = ""
    tiles: tuple[Tile, ...] = ()
    picture: Figure | None = None
    findings_title: str = ""
    findings: tuple[str, ...] = ()
    facts_title: str = "What was measured"
    facts: tuple[Fact, ...] = ()
    sparklines: tuple[Fact, ...] = ()
    """The history of a figure as characters, for formats without drawings."""
    notes: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    is_complete: bool = False
    """Whether all rows and texts are rendered; otherwise long ones are cut."""
