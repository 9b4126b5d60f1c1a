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
    assert f"{STUDY}::test_interference[training]" in run(STUDY, "--collect-only", "-q")


@pytest.mark.long
@pytest.mark.launches_mpi
def test_smallest_study_has_all_figures(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    output = run(
        *(f"{STUDY}::test_interference[training]", f"--mlps-cache-dir={tmp_path / 'cache'}"),
        *(f"--basetemp={tmp_path / 'study'}", f"--benchmark-json={results}"),
        *("--interference-ranks", "kv_cache=2", "--mlps-set", "kv_cache.duration=20"),
        *("--mlps-set", "training.epochs=1", "--mlps-set", "training.scale=0.0078125"),
    )
    assert "ranks: kv_cache with 2, training with 1" in output
    seen = json.loads(results.read_text())["benchmarks"][0]["extra_info"]
    assert seen["ranks"] == {"kv_cache": 2, "training": 1}
    figures = {(one["type_name"], one["title"]): one for one in seen["figures"]}
    assert {name for name, _ in figures} == {"kv_cache", "training"}
    for name in (("kv_cache", "read GiB/s"), ("training", "AU %"), ("training", "samples/s")):
        assert len(figures[name]["alone"]) == 2
        assert None not in (*figures[name]["alone"], *figures[name]["together"])
    assert not (tmp_path / "cache").exists()
