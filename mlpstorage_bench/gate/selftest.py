"""Self-test: a run's trials in two halves, of which neither can be worse than the other."""

from __future__ import annotations

from dataclasses import replace

from mlpstorage_bench.gate.baseline import Baseline
from mlpstorage_bench.gate.disturbances import usual_conditions
from mlpstorage_bench.gate.series import RunSeries

SELFTEST_TRIALS = 10
"""Trials of each half unless --mlps-trials is given: as many as a baseline has runs."""


def split_for_selftest(run: RunSeries) -> tuple[RunSeries, dict[str, Baseline]]:
    """Split a run for a self-test: even trials as the candidate, odd trials as baseline runs.

    Halves alternate, so both meet the same conditions of the storage, and neither can be worse.
    """
    candidate = {name: replace(one, trials=one.trials[1::2]) for name, one in run.cases.items()}
    baselines = {}
    for name, case in run.cases.items():
        halves = tuple(
            replace(
                run,
                run_id=f"trial {1 + 2 * number}",
                cases={name: replace(case, trials=(trial,))},
            )
            for number, trial in enumerate(case.trials[::2])
        )
        usual = usual_conditions([half.cases[name].conditions for half in halves])
        baselines[name] = Baseline(halves, usual=usual)
    return replace(run, cases=candidate), baselines
