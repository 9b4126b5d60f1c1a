"""Sessions with the gate over the null store, whose figures are reproducible."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mlpstorage_bench.session.hooks  # noqa: F401 - pytester forgets what its sessions import
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.runner.engine import Engine, Outcome

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
    newest: dict[str, Any] = max(
        read, key=lambda metadata: metadata["mlpstorage"]["start_datetime"]
    )
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
        metadata["mlpstorage"]["start_datetime"] = f"2026-01-{number + 1:02d}T00:00:00+00:00"
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


def change_trials(
    monkeypatch: pytest.MonkeyPatch,
    *,
    speed: float = 1.0,
    first_speeds: Sequence[float] = (),
    others: float = 0.0,
    first_others: Sequence[float] = (),
    limited_by: str = "storage",
) -> None:
    """Change the figures of the trials that sessions of this process will run.

    `speed` scales rates, `others` is the traffic of other programs as a multiple of the trial's own
    at full speed. `first_speeds` and `first_others` are those of the first trials of each case.
    """
    run_trial = Engine.run_trial

    def changed(
        engine: Engine, workload: Workload, seed: int, trial: int, parts: Mapping[str, str]
    ) -> Outcome:
        outcome = run_trial(engine, workload, seed, trial, parts)
        values: dict[str, Any] = dict(outcome.result.values)
        moved = values["read_gib_s"] + values["write_gib_s"]
        factor = dict(enumerate(first_speeds, 1)).get(trial, speed)
        foreign = dict(enumerate(first_others, 1)).get(trial, others)
        for name in ("read_gib_s", "write_gib_s", "requests_per_s"):
            values[name] *= factor
        values |= {
            "foreign_gib_s": foreign * moved,
            "foreign_traffic_on": "sda on node-a" if foreign else "",
            "limited_by": limited_by,
        }
        return replace(outcome, result=replace(outcome.result, values=values))

    monkeypatch.setattr(Engine, "run_trial", changed)
