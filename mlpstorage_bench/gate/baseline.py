"""Selection of baseline runs: the last comparable runs, those of a tag or branch, or one run.

Runs are comparable if the fingerprints of workload and system are equal, and no cache directory
leads to another device on the same host. A run can be a baseline if its tests passed, its own
checks did not call it INVALID, and it has not regressed (`PastRun.is_baseline`), so a regression
does not become the reference of the next run. A case that was disturbed is no baseline, and trials
with unusual conditions are left out of the runs that are one. A case that was not compared is no
baseline either: the first run on another system or workload fails, and the second must not accept
it silently.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.gate.baseline_choice import (
    BASELINE_OPTION,
    BaselineChoice,
    read_named,
)
from mlpstorage_bench.gate.disturbances import (
    UsualConditions,
    interference_with,
    usual_conditions,
)
from mlpstorage_bench.gate.earlier_runs import earlier_runs
from mlpstorage_bench.gate.evidence import MIN_RUNS
from mlpstorage_bench.gate.series import (
    CaseSeries,
    RunSeries,
    TrialSeries,
    format_differences,
    read_series,
)
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.cache_directories import replaced
from mlpstorage_bench.history.past_run import PastCase, PastRun
from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.units import counted


@dataclass(frozen=True)
class Baseline:
    """The baseline runs of a case, oldest first, or the reason why it cannot be compared."""

    runs: tuple[RunSeries, ...]
    refusal: str = ""
    can_grow: bool = False
    """Whether later runs are added: then a case with too few runs is collecting."""
    accepts_candidate: bool = False
    """Whether the judged run is added, unless it regresses or is disturbed."""
    usual: UsualConditions | None = None
    """Conditions of the newest comparable runs, of the disturbed ones too; None if unknown."""
    disturbed_before: int = 0
    """Number of runs directly before the judged one in which this case was disturbed."""
    lost: frozenset[str] = frozenset()
    """Metrics that comparable runs had, and of which the judged one has no value, or 0 alone."""


def find_baselines(
    candidate: RunSeries,
    choice: BaselineChoice,
    history: History,
    *,
    across: bool = False,
    ignores_disturbances: bool = False,
    metrics: Collection[str] = (),
    is_past: bool = False,
) -> dict[str, Baseline]:
    """Return the baseline of each case of a run.

    `across` includes runs of other workloads and systems, matched by the name of the case.
    `ignores_disturbances` includes runs and trials that were disturbed.
    `metrics` are those with a rule, which the run may have lost.
    `is_past` takes only runs that began before it, as later ones may exist.
    InvalidInputError if the chosen run or file does not exist.
    """
    if choice.kind in ("run", "file"):
        named = read_named(choice, history)
        if across:
            history.remarks += candidate.remarks_on(named)
        return {case: _named_baseline(candidate, case, named, across) for case in candidate.cases}
    runs = earlier_runs(choice, candidate, history, is_past=is_past)
    reader = _Reader(history)
    return {
        case: _EarlierRuns(
            candidate,
            case,
            choice,
            reader,
            across=across,
            ignores_disturbances=ignores_disturbances,
        ).baseline(runs, metrics)
        for case in candidate.cases
    }


def _named_baseline(candidate: RunSeries, case: str, named: RunSeries, across: bool) -> Baseline:  # noqa: FBT001 - the user's switch
    differences = candidate.differences(named, case)
    if case not in named.cases or (differences and not across):
        refusal = f"run {named.run_id} is not comparable: {format_differences(differences)}"
        if candidate.is_of_reference != named.is_of_reference and case in named.cases:
            refusal += ". With --mlps-gate-across it is compared all the same"
        return Baseline((), refusal)
    return Baseline((named,), usual=usual_conditions([named.cases[case].conditions]))


class _Reader:
    """Reads each metadata file once; a file that has no run of ours gets a remark."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._read: dict[Path, RunSeries | None] = {}

    def series(self, run: PastRun) -> RunSeries | None:
        """Return the metrics of a run; None if its file cannot be used."""
        if run.path not in self._read:
            try:
                self._read[run.path] = read_series(BASELINE_OPTION, run.path)
            except InvalidInputError as error:
                self.history.remarks.append(f"left out of the baseline: {error}")
                self._read[run.path] = None
        return self._read[run.path]


class _EarlierRuns:
    """Earlier runs of one case, and which of them are its baseline."""

    def __init__(
        self,
        candidate: RunSeries,
        case: str,
        choice: BaselineChoice,
        reader: _Reader,
        *,
        across: bool,
        ignores_disturbances: bool,
    ) -> None:
        self._candidate = candidate
        self._case = case
        self._choice = choice
        self._reader = reader
        self._across = across
        self._ignores_disturbances = ignores_disturbances

    def baseline(self, runs: Sequence[PastRun], metrics: Collection[str]) -> Baseline:
        """Return the baseline among complete runs, oldest first; `metrics` are judged."""
        with_case = [
            (run, past)
            for run in runs
            if (past := run.case_named(self._case)) is not None
            and (self._across or not past.is_refused)
        ]
        comparable = [pair for pair in with_case if self._across or self._is_comparable(*pair)]
        accepts_candidate = self._choice.matches(self._candidate)
        if comparable or (not with_case and accepts_candidate):
            material = [
                run
                for run, past in comparable
                if run.is_baseline and (self._ignores_disturbances or not past.is_disturbed)
            ]
            usual = usual_conditions(
                self._conditions([run for run, _ in comparable]), self._conditions(material)
            )
            newest = self._newest(material, usual)
            self._remark_on_disturbed(sum(run.is_baseline for run, _ in comparable), len(newest))
            return Baseline(
                newest,
                can_grow=self._choice.can_grow,
                accepts_candidate=accepts_candidate,
                usual=usual,
                disturbed_before=self._disturbed_before(comparable),
                lost=frozenset(self._lost([run for run, _ in comparable], metrics)),
            )
        if not with_case:
            return Baseline(
                (),
                f"no earlier run of {self._choice.kind} {self._choice.name} that passed has this "
                f"case, and this run does not have this {self._choice.kind}",
            )
        return Baseline((), self._refusal(with_case[-1][0]))

    def _is_comparable(self, run: PastRun, past: PastCase) -> bool:
        own = self._candidate.cases[self._case]
        return (
            run.system_fingerprint is not None
            and run.system_fingerprint == self._candidate.system_fingerprint
            and not replaced(self._candidate.cache_directories, run.cache_directories)
            and past.workload_fingerprint is not None
            and past.workload_fingerprint == own.workload_fingerprint
        )

    def _conditions(self, runs: Sequence[PastRun]) -> list[list[TrialConditions]]:
        """Return the conditions of each of the newest runs."""
        newest = [self._reader.series(run) for run in runs[-self._choice.count :]]
        cases = [run.cases.get(self._case) for run in newest if run is not None]
        return [case.conditions for case in cases if case is not None]

    def _newest(
        self, material: Sequence[PastRun], usual: UsualConditions | None
    ) -> tuple[RunSeries, ...]:
        """Return the newest runs with their trials without interference; others are left out."""
        found: list[RunSeries] = []
        for run in reversed(material):
            series = self._reader.series(run)
            case = None if series is None else series.cases.get(self._case)
            if series is None or case is None:
                continue
            trials = tuple(trial for trial in case.trials if self._is_usable(trial, usual))
            if trials:
                found.append(_with_case(series, self._case, replace(case, trials=trials)))
            if len(found) == self._choice.count:
                break
        return tuple(reversed(found))

    def _remark_on_disturbed(self, fit: int, used: int) -> None:
        """Say why there are too few runs although others are fit to be a baseline, if so."""
        if used < min(fit, MIN_RUNS):
            left_out = counted(fit - used, "comparable run")
            self._reader.history.remarks.append(
                f"{self._case}: {left_out} cannot be a baseline, as something else used the "
                "storage or the processors during all trials. --mlps-gate-disturbed=ignore takes "
                "them all the same"
            )

    def _is_usable(self, trial: TrialSeries, usual: UsualConditions | None) -> bool:
        conditions = trial.conditions
        if self._ignores_disturbances or usual is None or conditions is None:
            return True
        return not interference_with(conditions, usual)

    def _disturbed_before(self, comparable: Sequence[tuple[PastRun, PastCase]]) -> int:
        """Return how many judged runs directly before the candidate were disturbed."""
        started = datetime.fromisoformat(self._candidate.started).astimezone()
        judged = [
            past
            for run, past in comparable
            if run.gate_verdict is not None and run.started < started
        ]
        return sum(1 for _ in takewhile(lambda past: past.is_disturbed, reversed(judged)))

    def _lost(self, comparable: Sequence[PastRun], metrics: Collection[str]) -> Iterator[str]:
        """Yield the metrics that any comparable run had more of, however long ago."""
        own, run_ids = self._candidate.cases[self._case], [run.run_id for run in comparable]
        for metric in metrics:
            values = own.values(metric)
            if any(values):
                continue
            earlier = self._reader.history.values(run_ids, self._case, metric).values()
            if any(any(trials.values()) for trials in earlier) or (earlier and not values):
                yield metric

    def _refusal(self, nearest_run: PastRun) -> str:
        series = self._reader.series(nearest_run)
        differences = (
            ["its metadata cannot be used"]
            if series is None
            else self._candidate.differences(series, self._case)
        )
        return (
            f"no comparable run; the last run with this case, {nearest_run.run_id}, differs: "
            f"{format_differences(differences)}"
        )


def _with_case(run: RunSeries, name: str, case: CaseSeries) -> RunSeries:
    return replace(run, cases={**run.cases, name: case})
