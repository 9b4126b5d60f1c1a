"""Series of a metric that nothing changed, cut into a baseline and the run after it."""

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
    """Return where the series are: CSV files with the columns value and VM_id."""
    return Path(os.environ.get("MLPS_GATE_SERIES") or DEFAULT_DIR)


@dataclass(frozen=True)
class Windows:
    """Every stretch of one machine's series: runs of one trial, then the trials of the next run."""

    baseline: Values
    """A row for each place in the series, oldest run first."""
    candidate: Values

    def with_loss(self, loss: float) -> Windows:
        """Return the same with a true loss of bandwidth in the run that is judged."""
        return Windows(self.baseline, self.candidate * (1 - loss))


def windows(path: Path, trials: int) -> dict[str, Windows]:
    """Return the windows of each machine of a file, in the order of time."""
    series: dict[str, list[float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            series.setdefault(row["VM_id"], []).append(float(row["value"]))
    length = BASELINE_RUNS + trials
    cut = {
        machine: np.lib.stride_tricks.sliding_window_view(np.array(values), length)
        for machine, values in series.items()
        if len(values) >= length
    }
    return {
        machine: Windows(rows[:, :BASELINE_RUNS], rows[:, BASELINE_RUNS:])
        for machine, rows in cut.items()
    }
