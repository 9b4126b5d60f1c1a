"""A plugin with all hooks: a metric, facts for the metadata, the progress, and the result.

    PYTHONPATH=examples pytest -p own_plugin examples/test_first_benchmark.py

The same functions work in a conftest.py beside the ini-file.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from mlpstorage_bench import RANKS, Measured, Metric, Progress, Run, Shown, metric_rules, units

PROGRESS_FILE, RESULTS_FILE = Path("progress.csv"), Path("results.jsonl")


class Chunks(Measured):
    """Chunks."""

    chunks_per_s = Metric(
        "Rate of chunks to and from storage.",
        units.PER_S,
        RANKS.total(lambda rank: sum(one.chunks for one in rank.stored) / rank.window_s),
        metric_rules.MEAN_WITH_SPREAD,
        title="chunks/s",
        better="higher",
        shown=Shown.HEADLINE,
    )


def pytest_mlps_metrics() -> Sequence[type[Measured]]:
    return [Chunks]


def pytest_mlps_metadata(run: Run) -> Mapping[str, object]:
    return {
        "firmware": os.environ.get("ARRAY_FIRMWARE", "unknown"),
        "directory": run.directory.name,
    }


def pytest_mlps_progress(progress: Progress) -> None:
    read_gib_s = progress.figures.now.read_gib_s if progress.figures else 0.0
    with PROGRESS_FILE.open("a") as file:
        file.write(f"{progress.case},{progress.trial},{progress.phase},{read_gib_s:.2f}\n")


def pytest_mlps_result(config: pytest.Config, run: Run, metadata: Mapping[str, object]) -> None:
    line = {"run": run.run_id, "model": metadata["model"], "passed": run.tests_passed}
    with (config.invocation_params.dir / RESULTS_FILE).open("a") as file:
        file.write(f"{json.dumps(line)}\n")
