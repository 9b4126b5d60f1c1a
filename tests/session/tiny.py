"""Options of sessions that last a second, and access to their results."""

from __future__ import annotations

import json
from typing import Any

import pytest

TINY = (
    *("--mlps-set=duration=0.3", "--mlps-set=warmup=0", "--mlps-set=entry_scale=0.001"),
    *("--mlps-set=think_time_scale=0.05", "--mlps-set=calibration=0.05", "--mlps-trials=2"),
    "--mlps-results-dir=results",
)


def metadata_of(pytester: pytest.Pytester) -> dict[str, Any]:
    """Return the metadata of the only run."""
    (path,) = (pytester.path / "results").rglob("*_metadata.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content
