"""Value of --mlps-progress: how the progress of a run is shown."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.escaping import shortened
from mlpstorage_bench.options.option import duration

LINES_EVERY_S = 10.0
Mode = Literal["auto", "live", "lines", "off"]
_MODES: dict[str, Mode] = {"auto": "auto", "live": "live", "lines": "lines", "off": "off"}


@dataclass(frozen=True)
class ProgressMode:
    """How progress is shown."""

    mode: Mode = "auto"
    every_s: float = LINES_EVERY_S
    """Seconds between two lines."""


def checked_mode(text: str) -> str:
    """Return `auto`, `live`, `lines`, `lines:SECONDS` or `off` as it is, for argparse."""
    mode_of(text)
    return text


def mode_of(text: str) -> ProgressMode:
    """Return the mode that a text names; ArgumentTypeError for another text."""
    name, colon, seconds = text.partition(":")
    mode = _MODES.get(name)
    if mode is None or (colon and mode != "lines"):
        raise argparse.ArgumentTypeError(
            f"got {shortened(repr(text))}; accepted: auto, live, lines, lines:SECONDS or off"
        )
    return ProgressMode(mode, duration(seconds) if colon else LINES_EVERY_S)
