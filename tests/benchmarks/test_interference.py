"""The study of interference: collected only when it is named, and its smallest run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
STUDY = "benchmarks/test_interference.py"


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_study_is_collected_only_when_it_is_named() -> None:
    assert "test_interference" not in run("benchmarks/", "--collect-only", "-q")
    listed = run(STUDY, "--collect-only", "-q")
    for beside in ("checkpointing", "training"):
        assert f"{STUDY}::test_interference[{beside}]" in listed


def test_ranks_of_a_side_are_refused_elsewhere() -> None:
    command = [sys.executable, "-m", "pytest", "benchmarks/", "--mlps-set=training.ranks=2"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: --mlps-set: got 'training.ranks=2'; accepted: a parameter of" in done.stderr
    assert "Ranks of a side are for benchmarks/test_interference.py alone." in done.stderr


@pytest.mark.long
@pytest.mark.launches_mpi
@pytest.mark.parametrize(
    ("beside", "load", "titles"),
    [
        (
            "checkpointing",
            ("num_checkpoints_write=2", "num_checkpoints_read=2", "scale=0.002"),
            ("write GiB/s", "standstill s"),
        ),
        ("training", ("epochs=1", "scale=0.0078125"), ("AU %", "samples/s")),
    ],
)
def test_smallest_study_has_all_figures(
    beside: str, load: tuple[str, ...], titles: tuple[str, ...], tmp_path: Path
) -> None:
    results = tmp_path / "results.json"
    output = run(
        *(f"{STUDY}::test_interference[{beside}]", f"--mlps-cache-dir={tmp_path / 'cache'}"),
        *(f"--basetemp={tmp_path / 'study'}", f"--benchmark-json={results}"),
        *("--mlps-set", f"{beside}.ranks=2", "--mlps-set", "kv_cache.duration=20"),
        *(word for one in load for word in ("--mlps-set", f"{beside}.{one}")),
    )
    assert f"ranks: kv_cache with 1, {beside} with 2" in output
    assert f"kv_cache and {beside} together, 1 of 1" in output
    assert f"results of the sessions: {tmp_path}" in output
    seen = json.loads(results.read_text())["benchmarks"][0]["extra_info"]
    assert seen["ranks"] == {"kv_cache": 1, beside: 2}
    figures = {(one["type_name"], one["title"]): one for one in seen["figures"]}
    assert len(figures["kv_cache", "read GiB/s"]["alone"]) == 1
    for title in titles:
        figure = figures[beside, title]
        (alone,) = figure["alone"]
        assert len(alone) == 2
        assert None not in (*alone, *figure["together"], *figure["losses"])
    assert not (tmp_path / "cache").exists()
