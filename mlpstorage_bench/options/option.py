"""Declaration of an option, and parsers of option values."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Option:
    """One option `--mlps-NAME`, with its name in the reference implementation, if it has one."""

    name: str
    help: str
    reference_name: str | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def flag(self) -> str:
        """The option on the command line, such as `--mlps-hosts`."""
        return f"--mlps-{self.name}"

    @property
    def dest(self) -> str:
        """The attribute in pytest's namespace of options."""
        return "mlps_" + self.name.replace("-", "_")


def positive(text: str) -> int:
    """Parse a whole number, 1 or greater."""
    return _whole_number(text, 1)


def seed(text: str) -> int:
    """Parse a whole number, 0 or greater."""
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
    """Parse a number of seconds greater than 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text!r}; accepted: a number of seconds above 0")
    return value


SWITCH: Mapping[str, Any] = {"action": "store_true"}
A_NAME: Mapping[str, Any] = {"metavar": "NAME"}
