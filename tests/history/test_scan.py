from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.history.scan import scan

OURS: dict[str, Any] = {
    "benchmark_type": "kv_cache",
    "model": "llama3.1-8b",
    "command": "run",
    "run_datetime": "2026-11-23T10:00:00+00:00",
    "num_processes": 8,
    "hosts": ["h1", "h2"],
    "parameters": {},
    "status": "passed",
    "metrics": {"1": {"read_gib_s": 1.5, "write_gib_s": 0.5, "read_p95_ms": None}, "2": None},
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
}


def leave(folder: Path, name: str, content: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}_metadata.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_runs_of_ours_and_of_the_reference_are_listed_oldest_first(tmp_path: Path) -> None:
    leave(tmp_path / "b", "kv_cache_20261123_100000", OURS)
    leave(tmp_path / "a" / "deep", "training_20250111_160323", REFERENCES)
    first, second = scan(tmp_path).runs
    assert (first.run_id, first.benchmark_type) == ("20250111_160323", "training")
    assert (first.status, first.mode, first.num_hosts, first.cases) == ("-", "closed", 1, ())
    assert (second.run_id, second.status, second.num_hosts) == ("20261123_100000-abcd", "passed", 2)
    (case,) = second.cases
    assert (case.read_gib_s, case.write_gib_s, case.read_p95_ms) == (1.5, 0.5, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("\x00\xff", "no JSON"),
        ([], "it is not an object"),
        ({}, "it has no 'benchmark_type'"),
        ({**OURS, "num_processes": "many"}, "invalid literal"),
        ({**OURS, "run_datetime": "yesterday"}, "does not match format"),
        ({**OURS, "mlpstorage": [1]}, "no run's metadata"),
        ({**OURS, "hosts": 5}, "no run's metadata"),
    ],
)
def test_a_broken_or_foreign_file_is_named_and_the_others_are_listed(
    tmp_path: Path, content: object, message: str
) -> None:
    broken = leave(tmp_path, "broken", content)
    leave(tmp_path, "good", OURS)
    history = scan(tmp_path)
    assert len(history.runs) == 1
    (problem,) = history.problems
    assert problem.startswith(f"{broken}: ")
    assert message in problem


def test_a_directory_that_looks_like_a_metadata_file_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "x_metadata.json").mkdir()
    assert scan(tmp_path).runs == ()


def test_a_directory_that_is_not_there_has_no_runs(tmp_path: Path) -> None:
    assert scan(tmp_path / "nowhere") == scan(tmp_path)


def test_a_run_whose_process_is_gone_died(tmp_path: Path) -> None:
    here = os.uname().nodename
    gone = {**OURS["mlpstorage"], "process_id": 2**22 + 1}
    alive = {**OURS["mlpstorage"], "process_id": os.getpid()}
    running = {**OURS, "status": "running", "hosts": [here]}
    leave(tmp_path, "gone", {**running, "mlpstorage": gone})
    leave(tmp_path, "alive", {**running, "mlpstorage": alive})
    leave(tmp_path, "elsewhere", {**running, "mlpstorage": gone, "hosts": ["far-away"]})
    assert sorted(run.status for run in scan(tmp_path).runs) == ["died", "running", "running"]
