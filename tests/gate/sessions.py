"""Sessions with the gate over the null store, whose figures are reproducible."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

REPRODUCIBLE = [
    *("--mlps-set=storage=null", "--mlps-set=duration=2", "--mlps-set=write_limit_gb=20"),
    "--mlps-set=think_time_scale=0.5",
    *("--mlps-results-dir=results", "--mlps-cache-dir=cache", "-p", "no:cacheprovider"),
    "--mlps-set=entry_scale=0.001",
]
NO_LATENCIES = ["--mlps-gate-rule=read_p95: off", "--mlps-gate-rule=write_p95: off"]
"""Latencies are 0 without storage, so they have no relative change."""
STEADY = (1.0, 1.001, 0.999, 1.0, 1.002, 0.998, 1.0, 1.001, 0.999, 1.0)
TEST = "def test_run(kvcache): kvcache.run(1)"


def metadata_files(pytester: pytest.Pytester) -> list[Path]:
    return sorted((pytester.path / "results").rglob("*_metadata.json"))


def newest(pytester: pytest.Pytester) -> dict[str, Any]:
    read = [json.loads(path.read_text()) for path in metadata_files(pytester)]
    newest: dict[str, Any] = max(read, key=lambda metadata: metadata["run_datetime"])
    return newest


def write_past_runs(
    pytester: pytest.Pytester, factors: Sequence[float] = STEADY, **changes: object
) -> None:
    """Write earlier runs of this workload whose bandwidths are scaled by `factors`."""
    pytester.makepyfile(test_kv=TEST)
    pytester.runpytest(*REPRODUCIBLE).assert_outcomes(passed=1)
    (path,) = metadata_files(pytester)
    original = json.loads(path.read_text())
    for number, factor in enumerate(factors):
        metadata = json.loads(json.dumps(original))
        own = metadata["mlpstorage"]
        metadata["run_datetime"] = f"2026-01-{number + 1:02d}T00:00:00+00:00"
        own["run_id"] = f"past-{number}"
        own |= changes
        for trial in own["cases"]["1"]["trials"]:
            for name in ("read_gib_s", "write_gib_s"):
                trial["metrics"][name] *= factor
        name = f"kv_cache_2026010{number}_000000"
        folder = path.parent.parent / name
        folder.mkdir()
        (folder / f"{name}_metadata.json").write_text(json.dumps(metadata))
    path.unlink()


def gate(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest(*REPRODUCIBLE, *NO_LATENCIES, "--mlps-gate", *arguments)
