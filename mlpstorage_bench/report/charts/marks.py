"""Marks of a chart in the coordinates of its drawing, with classes for their colours.

The markup is made by a template, which escapes every text: no text of a chart is ever joined to
markup here. Colours are CSS classes, so that one drawing serves light, dark and print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlpstorage_bench.report.tables import Section

WIDTH = 420.0
"""Width of each drawing: about that of a telephone, so that text keeps its size on one."""
Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True)
class Curve:
    """A line through points."""

    points: str
    """Commands of an SVG path, made of numbers by `path_of`: templates take it as it is."""
    style: str


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float
    style: str
    title: str = ""
    """Text that a pointer shows; '' for none."""


@dataclass(frozen=True)
class Label:
    """A line of text."""

    x: float
    y: float
    text: str
    anchor: Anchor = "start"
    style: str = "label"


@dataclass(frozen=True)
class KeyEntry:
    """An entry of a figure's key."""

    style: str
    text: str


@dataclass(frozen=True)
class Figure:
    """A drawing with its text alternative and its numbers."""

    title: str
    summary: str
    """The content of the drawing, for readers who do not see it."""
    height: float
    table: Section
    boxes: Sequence[Box] = ()
    curves: Sequence[Curve] = ()
    labels: Sequence[Label] = ()
    key: Sequence[KeyEntry] = ()
    remarks: Sequence[str] = field(default_factory=tuple)
    """Sentences below the drawing."""
    width: float = WIDTH


def path_of(points: Sequence[tuple[float, float]]) -> str:
    """Return the commands of a path through points, in the drawing's coordinates."""
    return "".join(
        f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(points)
    )
