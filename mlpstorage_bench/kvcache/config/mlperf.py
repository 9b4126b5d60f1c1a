"""Rules of MLPerf's CLOSED division: the sanctioned workload, on any system under test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.paths import existing_part

PROFILE = "mlperf"
SEED = 42
TRIALS = 3

_LOCKED = {"set": "nothing", "seed": str(SEED), "trials": str(TRIALS), "profile": PROFILE}
"""Options that are fixed in CLOSED: name → the only accepted value."""


def check_closed(user_set: Mapping[str, Any], cache_dir: Path, results_dir: Path) -> None:
    """Raise InvalidInputError with every setting that CLOSED does not allow."""
    violations = []
    for name, accepted in _LOCKED.items():
        if name in user_set and str(user_set[name]) != accepted:
            given = user_set[name]
            shown = ", ".join(given) if isinstance(given, list) else given
            violations.append(f"--mlps-{name} (given: {shown}; accepted: {accepted})")
    if _device("--mlps-cache-dir", cache_dir) == _device("--mlps-results-dir", results_dir):
        violations.append(
            f"--mlps-cache-dir and --mlps-results-dir on one filesystem ({cache_dir}, "
            f"{results_dir}; accepted: two different filesystems)"
        )
    if violations:
        raise InvalidInputError(
            "--mlps-mode",
            "closed",
            "the sanctioned workload; only the system's name, directories, hosts and ranks vary",
            hint=f"Not allowed: {'; '.join(violations)}. Use --mlps-mode open to vary them",
        )


def _device(option: str, path: Path) -> int:
    return existing_part(option, path).stat().st_dev
