"""What a benchmark type is asked: what to run, and in how much room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CACHE_DIR_OPTION = "--mlps-cache-dir"
"""What names the storage to be measured."""


@dataclass(frozen=True)
class PlanRequest:
    """What the user asked for; None where it is left to the profile."""

    profile: str
    mode: str
    overrides: tuple[tuple[str, str], ...]
    """Dotted path into the profile, value as typed."""
    seed: int | None
    trials: int | None
    cache_dir: Path
    results_dir: Path
    user_set: Mapping[str, Any]
    """Every option that the user gave, by name."""


@dataclass(frozen=True)
class HostCapacity:
    """What a host has left, in bytes; None where it does not say."""

    storage: int | None
    memory: int | None
    sharers: int
    """Ranks whose cache files share the storage."""
