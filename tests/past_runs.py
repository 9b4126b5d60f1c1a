"""Metadata of earlier runs, of this project and of the reference, in any number."""

from __future__ import annotations

import itertools
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FIGURES = {"read_gib_s": 1.5, "write_gib_s": 0.5, "read_p95_ms": 12.34}
OURS: dict[str, Any] = {
    "benchmark_type": "kv_cache",
    "model": "llama3.1-8b",
    "command": "run",
    "run_datetime": "2026-11-23T10:00:00+00:00",
    "num_processes": 8,
    "hosts": ["h1", "h2"],
    "parameters": {"model": "llama3.1-8b", "options": {"1": {"num_users": 4}}},
    "status": "passed",
    "metrics": {"1": {**FIGURES, "read_p95_ms": None}, "2": None},
    "mlpstorage": {"run_id": "20261123_100000-abcd", "mode": "open", "process_id": 1},
}
REFERENCES: dict[str, Any] = {
    "benchmark_type": "training",
    "model": "unet3d",
    "command": "run",
    "run_datetime": "20250111_160323",
    "num_processes": 8,
    "accelerator": "h100",
    "parameters": {"dataset": {"num_files_train": 42}},
    "verification": "closed",
    "metrics": {"train_au_mean_percentage": 97.5, "train_au_percentage": [97.0, 98.0]},
}
_LONG_AGO_S = itertools.count(1_700_000_000)


def leave(folder: Path, name: str, content: object) -> Path:
    """Write a metadata file with an old modification time, a second after the previous one's."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}_metadata.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    moment = next(_LONG_AGO_S)
    os.utime(path, (moment, moment))
    os.utime(folder, (moment, moment))
    return path


def run(number: int, *, trials: tuple[float, ...] = (1.0, 2.0), **changes: Any) -> dict[str, Any]:
    """Return the metadata of a run, a minute after the previous one; `own` updates `mlpstorage`."""
    started = datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(minutes=number)
    own = {
        "run_id": f"{started:%Y%m%d_%H%M%S}-{number:04x}",
        "mode": "open",
        "system_fingerprint": "5" * 32,
        "commit_info": {"id": "c0ffee", "branch": "main"},
        "cases": {
            "1": {
                "test": "benchmarks/test_kvcache.py::test_workload[1]",
                "workload_fingerprint": "7" * 32,
                "trials": [
                    {"trial": trial, "metrics": {"read_gib_s": value, "window_s": 0.5}}
                    for trial, value in enumerate(trials, 1)
                ],
            }
        },
        **changes.pop("own", {}),
    }
    mean = sum(trials) / len(trials) if trials else 0.0
    return {
        **OURS,
        "run_datetime": started.isoformat(),
        "metrics": {"1": {**FIGURES, "read_gib_s": mean}},
        **changes,
        "mlpstorage": own,
    }


def leave_run(results: Path, number: int, **changes: Any) -> Path:
    """Write a run at its place in the results tree."""
    content = run(number, **changes)
    started = content["mlpstorage"]["run_id"].partition("-")[0]
    folder = results / "open/local/results/system/kv_cache" / content["model"] / "run" / started
    return leave(folder, f"kv_cache_{started}", content)
