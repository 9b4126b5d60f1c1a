"""The A/A control: one run's trials in two halves, of which neither can be worse.

Trials are dealt out in turn, so that both halves meet the same moments of the storage. Each of the
first half stands for a baseline run, which is what the gate knows of how far runs differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlpstorage_bench.gate.baseline import Baseline
from mlpstorage_bench.gate.series import CaseSeries, RunSeries

SELFTEST_TRIALS = 10
"""Of each half, unless the user says how many: as many as a baseline has runs."""


def halves(run: RunSeries) -> tuple[RunSeries, dict[str, Baseline]]:
    """Return the second half as a run, and the first as the baseline of each of its cases."""
    candidate = {name: _with(case, case.trials[1::2]) for name, case in run.cases.items()}
    baselines = {
        name: Baseline(
            tuple(
                replace(run, run_id=f"trial {1 + 2 * number}", cases={name: _with(case, (trial,))})
                for number, trial in enumerate(case.trials[::2])
            )
        )
        for name, case in run.cases.items()
    }
    return replace(run, cases=candidate), baselines


def _with(case: CaseSeries, trials: tuple[Mapping[str, float], ...]) -> CaseSeries:
    return replace(case, trials=trials)
