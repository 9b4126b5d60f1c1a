"""The runs of a results directory that may be in a baseline, each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from mlpstorage_bench.gate.baseline_choice import BaselineChoice, filter_of
from mlpstorage_bench.gate.series import RunSeries
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.units import counted


def earlier_runs(
    choice: BaselineChoice, candidate: RunSeries, history: History, *, is_past: bool = False
) -> list[PastRun]:
    """Return the other complete runs that a choice selects, each once, oldest first.

    Of a run that `is_past`, they are those that began before it. A session's own run is the newest
    whatever the clocks say. Remarks of the history say where a run has copies, and where clocks
    contradict the order.
    """
    started = datetime.fromisoformat(candidate.started).astimezone()
    runs = [
        run
        for run in history.runs(filter_of(choice))
        if run.is_complete
        and run.is_of_reference == candidate.is_of_reference  # the others only where named
        and run.benchmark_type == candidate.benchmark_type
        and run.run_id != candidate.run_id
        and (run.started < started or not is_past)
    ]
    once = list({(run.run_id, run.started, run.systemname): run for run in runs}.values())
    history.remarks += _remarks(runs, once, started)
    return once


def _remarks(runs: Sequence[PastRun], once: Sequence[PastRun], started: datetime) -> Iterator[str]:
    if len(once) < len(runs):
        yield (
            f"{len(runs) - len(once)} copies of runs are left out of the baseline: each run "
            "counts once, wherever the results directory has it"
        )
    later = [run for run in once if run.started > started]
    if later:
        yield (
            f"{counted(len(later), 'run')} began after this run by their clocks, the latest, "
            f"{later[-1].run_id}, at {later[-1].started:%Y-%m-%d %H:%M}: the gate takes them for "
            "the newest. If a clock was wrong, move these runs out of the results directory"
        )
