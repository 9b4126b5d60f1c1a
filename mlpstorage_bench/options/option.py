"""What an option is, and the values that options take."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Option:
    """One option `--mlps-NAME`, and the name under which the reference knows it."""

    name: str
    help: str
    reference_name: str | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return f"--mlps-{self.name}"

    @property
    def dest(self) -> str:
        """Its attribute in pytest's namespace."""
        return "mlps_" + self.name.replace("-", "_")


def positive(text: str) -> int:
    """Return a whole number from 1."""
    return _whole_number(text, 1)


def seed(text: str) -> int:
    """Return a whole number from 0."""
    return _whole_number(text, 0)


def _whole_number(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value < 2**63:
        raise argparse.ArgumentTypeError(f"got {text!r}; accepted: a whole number from {least}")
    return value


def duration(text: str) -> float:
    """Return seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text!r}; accepted: a number of seconds above 0")
    return value


SWITCH: Mapping[str, Any] = {"action": "store_true"}
A_NAME: Mapping[str, Any] = {"metavar": "NAME"}
