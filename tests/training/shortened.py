"""Closed trainings of seconds: only code of these tests can replace what a closed run does.

A session loads the plugin by `-p shortened_training`; `tests.session.closed` has the same for
KV caches.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_PLUGIN = """
from mlpstorage_bench.training import benchmark

SIZES = {"scale": 0.001, "steps": 3, "epochs": 2, "batch_size": 2, "io_chunk_kib": 64}
_load = benchmark.load_profile

def load_shortened(*given, **options):
    profile = _load(*given, **options)
    workloads = {
        name: workload.model_copy(update={**SIZES, "computation_time": %s})
        for name, workload in profile.workloads.items()
    }
    return profile.model_copy(update={"workloads": workloads})

benchmark.load_profile = load_shortened
"""
TEST = "def test_training(training, training_workload): training.run(training_workload)\n"
CLOSED = ("-p", "shortened_training", "--mlps-mode=closed", "--mlps-cache-dir=cache")
"""Options of a shortened training; `results_on_another_filesystem` has its results."""
CASES = [["train-warm-up"], *[["train"]] * 5]
"""Cases of the runs that such a session leaves."""
LONG_S = 0.3
"""Computation time of a step with which a run is longer than the gaps around it."""


def shorten(directory: Path, computation_s: float = 0.01) -> None:
    """Write the plugin into a directory: each run has 6 steps of `computation_s`."""
    (directory / "shortened_training.py").write_text(_PLUGIN % computation_s)


def metadata_in(directory: Path) -> list[dict[str, Any]]:
    """Return the metadata of all trainings, in the order of their times."""
    found = sorted(directory.rglob("training_*_metadata.json"), key=lambda path: path.parent.name)
    return [json.loads(path.read_text()) for path in found]
