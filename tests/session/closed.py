"""Closed runs of seconds: only code of these tests can replace durations and pauses.

A session loads `PLUGIN` by `-p shortened`. Nothing of the package shortens a closed run, and the
metadata of such a run says what ran: `--mlps-validate` finds it violated.
"""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_PLUGIN = """
import os, time

from mlpstorage_bench.kvcache import benchmark
from mlpstorage_bench.trial.window_counters import WindowCounters

RANK = os.environ.get("OMPI_COMM_WORLD_RANK", "0")

def note_when(read):
    def noted(*given, **named):
        with open(f"counters-{{RANK}}", "a") as file:
            print(time.time(), file=file)
        return read(*given, **named)

    return staticmethod(noted)

for name in ("at_start", "at_end"):
    setattr(WindowCounters, name, note_when(getattr(WindowCounters, name)))

_load = benchmark.load_profile

def load_shortened(*given, **options):
    profile = _load(*given, **options)
    workloads = {{
        name: workload.model_copy(
            update={{**{workload!r}, "cpu_mem_gb": workload.cpu_mem_gb * 0.0005}}
        )
        for name, workload in profile.workloads.items()
    }}
    return profile.model_copy(update={{**{profile!r}, "workloads": workloads}})

benchmark.load_profile = load_shortened
"""
WORKLOAD = {
    "duration": 60.0,
    "requests": 10,
    "entry_scale": 0.0005,
    "calibration": 0.0,
    "think_time_scale": 0.01,
    "num_users": 4,
    "io_chunk_kib": 64,
}
PAUSES = {
    "delay_before_trial": 0.2,
    "delay_after_trial": 0.15,
    "delay_between_workloads": 0.1,
}
CLOSED = ("-p", "shortened", "--mlps-mode=closed", "--mlps-cache-dir=cache")
"""Options of a shortened run; `results_on_another_filesystem` has its results."""
TRIAL = ("pause_before_trial", "cache_emptied", "trial", "pause_after_trial")
"""Steps of a trial."""
MEMORY = Path("/dev/shm")
TEST = "def test_workload(kvcache, kvcache_workload): kvcache.run(kvcache_workload)"


def shorten(
    pytester: pytest.Pytester, pauses: dict[str, float] | None = None, **workload: object
) -> None:
    """Write the plugin, and a test of all workloads, into pytester's directory."""
    text = _PLUGIN.format(profile=pauses or PAUSES, workload={**WORKLOAD, **workload})
    (pytester.path / "shortened.py").write_text(text)
    pytester.makepyfile(TEST)


def counter_times(pytester: pytest.Pytester, rank: int) -> list[float]:
    """Return when a rank read the kernel's counters for an audit, at each edge of its windows."""
    lines = (pytester.path / f"counters-{rank}").read_text().splitlines()
    return [float(line) for line in lines]


def metadata_in(results: Path) -> dict[str, Any]:
    """Return the metadata of the only run."""
    (path,) = results.rglob("*_metadata.json")
    return metadata_of(path)


def metadata_of(path: Path) -> dict[str, Any]:
    """Return the content of a metadata file."""
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def rank_files(results: Path) -> Iterator[dict[str, Any]]:
    """Yield the content of every rank's file, in the order of options, trials and ranks."""
    for path in sorted(results.rglob("kvcache_results_*.json")):
        yield json.loads(path.read_text())


def results_on_another_filesystem() -> Iterator[Path]:
    """Yield a results directory on another filesystem than pytester's directory."""
    folder = Path(tempfile.mkdtemp(prefix="mlps-results-", dir=MEMORY))
    yield folder
    shutil.rmtree(folder)


def steps_of(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the recorded steps of a run."""
    steps: list[dict[str, Any]] = metadata["mlpstorage"]["sequence"]["steps"]
    return steps


def check_sequence(metadata: dict[str, Any], begins_anew: int = 0) -> None:
    """Check order, length and place of all steps of a shortened run.

    `begins_anew` is the number of trials before the one that finds an empty cache.
    """
    steps = steps_of(metadata)
    expected = [*TRIAL * 3, *["pause_between_options", *TRIAL * 3] * 2]
    assert [one["step"] for one in steps] == expected
    assert [one["trial"] for one in steps if one["step"] == "trial"] == [1, 2, 3] * 3
    lengths = {
        "pause_before_trial": PAUSES["delay_before_trial"],
        "pause_after_trial": PAUSES["delay_after_trial"],
        "pause_between_options": PAUSES["delay_between_workloads"],
    }
    for step in steps:
        assert step["seconds"] >= lengths.get(step["step"], 0.0)
    emptied = [one["removed_bytes"] > 0 for one in steps if one["step"] == "cache_emptied"]
    expected_emptied = [number not in (0, begins_anew) for number in range(9)]
    assert emptied == expected_emptied, "a trial's entries stay until the next one begins"
    for one, following in itertools.pairwise(steps):
        assert following["began_at"] >= one["began_at"] + one["seconds"] - 0.05
