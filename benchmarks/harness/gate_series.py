"""Series of a metric on unchanged machines, cut into windows of a baseline and the next run."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

BASELINE_RUNS = 10
DEFAULT_DIR = Path(__file__).parents[2].parent / "shared" / "gate-noise"


def directory() -> Path:
    """Return the directory of the series: CSV files with the columns value and VM_id."""
    return Path(os.environ.get("MLPS_GATE_SERIES") or DEFAULT_DIR)


@dataclass(frozen=True)
class Windows:
    """All windows of one machine's series: runs of one trial, then the trials of the next run."""

    baseline: Values
    """One row per window, oldest run first."""
    candidate: Values

    def with_loss(self, loss: float) -> Windows:
        """Return the windows with a true loss of bandwidth in the judged run."""
        return Windows(self.baseline, self.candidate * (1 - loss))


def windows(path: Path, trials: int) -> dict[str, Windows]:
    """Return the windows of each machine in a file, in order of time."""
    series: dict[str, list[float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            series.setdefault(row["VM_id"], []).append(float(row["value"]))
    length = BASELINE_RUNS + trials
    rows_of = {
        machine: np.lib.stride_tricks.sliding_window_view(np.array(values), length)
        for machine, values in series.items()
        if len(values) >= length
    }
    return {
        machine: Windows(rows[:, :BASELINE_RUNS], rows[:, BASELINE_RUNS:])
        for machine, rows in rows_of.items()
    }
