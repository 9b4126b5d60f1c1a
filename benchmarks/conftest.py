"""Selection of benchmarks: those of storage by default, studies of the harness when named."""

from __future__ import annotations

from pathlib import Path

import pytest

HARNESS = Path(__file__).parent / "harness"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the studies unless they are named: `pytest benchmarks/` measures storage."""
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    if collection_path != HARNESS or any(path.is_relative_to(HARNESS) for path in named):
        return None
    return True
