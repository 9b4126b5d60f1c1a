"""What is a benchmark of storage, and what a study of the harness."""

from __future__ import annotations

from pathlib import Path

import pytest

HARNESS = Path(__file__).parent / "harness"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the studies out unless they are named: `pytest benchmarks/` measures storage."""
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    if collection_path != HARNESS or any(path.is_relative_to(HARNESS) for path in named):
        return None
    return True
