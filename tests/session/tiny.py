"""Options of sessions that last a second, and access to their results."""

from __future__ import annotations

import json
from typing import Any

import pytest

# Windows of a minute, for trials that something else ends. One thread and small chunks: nothing is
# tried out, and few pages of buffers are filled.
LONG = (
    *("--mlps-set=duration=60", "--mlps-set=warmup=0", "--mlps-set=entry_scale=0.001"),
    *("--mlps-set=think_time_scale=0.05", "--mlps-set=calibration=0.05", "--mlps-trials=2"),
    *("--mlps-set=kv_cache.io_threads=1", "--mlps-set=kv_cache.io_chunk_kib=64"),
    "--mlps-results-dir=results",
)

# A window ends after 20 requests, however slow the disk is: a window of a fraction of a second is
# empty on a busy machine.
TINY = (*LONG, "--mlps-set=requests=20")

WITHOUT_PAUSES = tuple(
    f"--mlps-set=delay_{pause}=0" for pause in ("before_trial", "after_trial", "between_workloads")
)
"""Options for the profile mlperf in mode open."""


def metadata_of(pytester: pytest.Pytester) -> dict[str, Any]:
    """Return the metadata of the only run."""
    (path,) = (pytester.path / "results").rglob("*_metadata.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content
