"""Declaration of an option, and parsers of option values."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlpstorage_bench.escaping import shortened

LONGEST_S = 365 * 86_400
"""Longest time of a limit, which clocks and timers of the system can hold."""
_WHOLE = re.compile(r"[-+]?[0-9]{1,30}")


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


@dataclass(frozen=True)
class WholeNumber:
    """Parser of a whole number within limits, for argparse."""

    least: int
    most: int

    def __call__(self, text: str) -> int:
        """Return the number that the text is; ArgumentTypeError otherwise."""
        is_number = _WHOLE.fullmatch(text.strip()) is not None
        if not is_number or not self.least <= int(text) <= self.most:
            accepted = f"a whole number from {self.least} to {self.most}"
            raise argparse.ArgumentTypeError(f"got {shortened(repr(text))}; accepted: {accepted}")
        return int(text)


def duration(text: str) -> float:
    """Parse a number of seconds above 0, at most a year."""
    value = parse_seconds(text)
    if not value:
        raise argparse.ArgumentTypeError(
            f"got {shortened(repr(text))}; accepted: a number of seconds above 0, at most "
            f"{LONGEST_S} (a year)"
        )
    return value


def parse_seconds(text: str) -> float | None:
    """Return a number of seconds from 0 to a year; None if the text is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= LONGEST_S else None


SWITCH: Mapping[str, Any] = {"action": "store_true"}
A_NAME: Mapping[str, Any] = {"metavar": "NAME"}
