"""Where a run's directory lies in a results tree, which identifies the run.

`<division>/<organization>/results/<system>/<type>/<model>[/<index>][/<command>]/<time>/`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DIVISIONS = ("closed", "open", "whatif")
TIMESTAMP = re.compile(r"\d{8}_\d{6}")
"""Name of a run's directory."""
_RESULTS = "results"
_DEFAULT_COMMAND = "run"
"""The command of a leaf whose path has no level for it: checkpointing."""
_COMMANDS = ("datasize", "datagen", "run")


@dataclass(frozen=True)
class Place:
    """The levels of a results tree above a run's directory."""

    division: str
    organization: str
    system: str
    benchmark_type: str
    model: str
    index: str
    """The index of a vector database; else empty."""
    command: str
    levels: tuple[str, ...]
    """Names of the directories from the division to the one that holds the run's."""

    def __str__(self) -> str:
        return "/".join(self.levels)


def place_of(leaf: Path) -> Place | None:
    """Return the place of a run's directory; None if it is not in a results tree."""
    if not TIMESTAMP.fullmatch(leaf.name):
        return None
    at = _division_at(leaf.parts)
    if at < 0:
        return None
    levels = leaf.parts[at:-1]
    division, organization, _, system, kind, model, *rest = levels
    index = ""
    if kind == "vector_database" and rest and rest[0] not in _COMMANDS:
        index, *rest = rest
    command = rest[0] if rest else _DEFAULT_COMMAND
    return Place(division, organization, system, kind, model, index, command, levels)


def system_directory(leaf: Path) -> Path:
    """Return the directory of the system of a leaf in a results tree."""
    return Path(*leaf.parts[: _division_at(leaf.parts) + 4])


def _division_at(parts: tuple[str, ...]) -> int:
    """Return the position of the division in a leaf's path; -1 if it has none."""
    for at in range(len(parts) - 6, 0, -1):
        if parts[at] in DIVISIONS and parts[at + 2] == _RESULTS:
            return at
    return -1
