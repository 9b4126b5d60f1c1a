"""The trials of one case on all ranks, with the pauses around them, and their records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Generic, Protocol

from mlpstorage_bench.benchmark_type.records import (
    CaseRecord,
    FailedTrialRecord,
    Json,
    OpenCase,
    Pauses,
    SequenceStep,
    Step,
    TrialRecord,
)
from mlpstorage_bench.errors import CorruptReadsError
from mlpstorage_bench.results.kept_trials import KeptTrial
from mlpstorage_bench.trial.engine import TrialEngine
from mlpstorage_bench.trial.finished_trials import FinishedTrial, restored
from mlpstorage_bench.trial.outcome import (
    CaseWork,
    PooledTrial,
    Result,
    Samples,
    StoredTrial,
    TrialOutcome,
)
from mlpstorage_bench.trial.watch import TrialPlace
from mlpstorage_bench.units import duration

AnnouncePause = Callable[[str, float], None]
"""Receives, on every rank, when a pause is due and how many seconds it lasts, before it begins."""


@dataclass(frozen=True)
class Pausing:
    """The pauses of a profile, and the function that announces each."""

    pauses: Pauses
    announce: AnnouncePause


class RunTrials(Protocol):
    """The finished trials that a run keeps on disk, for its continuation."""

    @property
    def is_resumed(self) -> bool:
        """Whether this session continues a run; the same on every rank."""
        ...

    def finished_trials(self, case: CaseRecord) -> Sequence[KeptTrial]:
        """Return the trials of a case that earlier parts of the run have finished, on rank 0."""
        ...

    def keep_trial(self, case: CaseRecord, state: Json) -> None:
        """Write the last trial of a case, on rank 0."""
        ...

    def keep_pause(self, case: CaseRecord, trial: int, step: Json) -> None:
        """Write that the pause after a trial has completed, on rank 0."""
        ...

    def end_with_trials(self) -> None:
        """End the run with its last trial, where the session goes on with others, on rank 0."""
        ...


class CaseTrials(Generic[Result, Samples]):
    """The trials of one case so far, on all ranks."""

    def __init__(
        self,
        engine: TrialEngine,
        work: CaseWork[Result, Samples],
        case: OpenCase,
        pausing: Pausing,
        run: RunTrials,
        notes: Sequence[str] = (),
        *,
        later_in_test: int = 0,
    ) -> None:
        self.case = case
        """The case, whose record is replaced after each trial."""
        self._engine = engine
        self._work = work
        self._pausing = pausing
        self._name = f"{work.noun} {case.record.case}"
        self._later_in_test = later_in_test
        """Trials that its test runs after those of this case."""
        self.results: list[Result] = []
        """The pooled result of each trial."""
        self.samples: list[Samples] = []
        """Samples of each trial, on rank 0."""
        self.notes = [*notes]
        """Notes for the reader of the results, besides those on the trials."""
        self._begun_as: int | None = None
        """Its number among the cases that the engine began; None before."""
        self._follows_a_case = False
        self._earlier_steps: list[SequenceStep] = []
        """Its steps before those that the engine has."""
        self._run = run
        self._finished: list[FinishedTrial[Result, Samples]] = []
        """Trials that earlier parts of the run have finished, from the first on."""
        if run.is_resumed:
            own = [*restored(work, run.finished_trials(case.record))]
            outcomes = engine.share([one.outcome for one in own])
            steps = engine.of_root([(one.steps, one.pause_after) for one in own])
            self._finished = [
                FinishedTrial(outcome, *taken)
                for outcome, taken in zip(outcomes, steps, strict=True)
            ]

    @property
    def count(self) -> int:
        """Number of trials so far."""
        return len(self.results)

    @property
    def finished(self) -> int:
        """Number of trials that earlier parts of the run have finished."""
        return len(self._finished)

    @property
    def _steps(self) -> tuple[SequenceStep, ...]:
        """The steps of the case on this rank; of finished trials, those that rank 0 has kept."""
        return (*self._earlier_steps, *(() if self._begun_as is None else self._engine.steps))

    def _begin(self) -> None:
        """Begin the steps of this case, or go on with them after those of another one."""
        if self._begun_as != self._engine.cases:
            self._earlier_steps = [*self.case.record.steps]
            self._follows_a_case = self._engine.begin_case()
            self._begun_as = self._engine.cases

    def _pause_after_case_before(self) -> None:
        """Pause between the case before, if there was one, and the first trial of this one."""
        if self._follows_a_case:
            self._follows_a_case = False
            seconds = self._pausing.pauses.between_cases_s
            self._pause("pause_between_options", None, seconds, f"before {self._name}")

    def run_one(self) -> float:
        """Run the next trial between its pauses, and return the seconds of its round.

        A trial that an earlier part of the run has finished does not run again. A pause that was
        interrupted is waited again, in full.
        """
        number, pauses = self.count + 1, self._pausing.pauses
        self._begin()
        if number <= len(self._finished):
            return self._restore(number, self._finished[number - 1])
        if number == 1:
            self._pause_after_case_before()
        place = f"trial {number} of {self._name}"
        self._engine.watch.begin_trial(self._place(number))
        self._pause("pause_before_trial", number, pauses.before_trial_s, f"before {place}")
        outcome = self._work.run(number)
        pooled = self._add(number, outcome)
        self._pause_after(number)
        return pooled.round_s

    def _place(self, number: int) -> TrialPlace:
        """Return a trial's place among those of the case, and its planned length."""
        pauses, work = self._pausing.pauses, self._work
        return TrialPlace(
            self.case.record.case,
            number,
            max(number, self.case.record.planned_trials),
            pauses.before_trial_s,
            pauses.after_trial_s,
            work.warmup_s,
            work.window_s,
            self._later_in_test,
        )

    def _restore(self, number: int, finished: FinishedTrial[Result, Samples]) -> float:
        """Add a finished trial, and wait the pause after it unless that has completed."""
        self._earlier_steps += finished.steps
        pooled = self._add(number, finished.outcome)
        if finished.pause_after is None:
            self._pause_after(number)
        else:
            self._earlier_steps.append(finished.pause_after)
            self.case.record = replace(self.case.record, steps=self._steps)
        return pooled.round_s

    def _pause_after(self, number: int) -> None:
        seconds = self._pausing.pauses.after_trial_s
        self._pause("pause_after_trial", number, seconds, f"after trial {number} of {self._name}")
        if seconds:
            self._run.keep_pause(self.case.record, number, asdict(self._engine.steps[-1]))

    def _add(self, number: int, outcome: TrialOutcome[Result, Samples]) -> Result:
        """Add a trial to the case, and keep it; raise its failure."""
        pooled, ranks = outcome.result, outcome.ranks or ()
        metrics = pooled.metrics()
        if pooled.failure is not None:
            self.case.record = replace(
                self.case.record,
                failed_trial=FailedTrialRecord(
                    number,
                    metrics,
                    ranks,
                    pooled.conditions,
                    outcome.series,
                    failure=str(pooled.failure),
                ),
                steps=self._steps,
                notes=(*self.notes, pooled.failure_note(self.case.record.case)),
            )
            raise pooled.failure
        self.results.append(pooled)
        if outcome.samples is not None:
            self.samples.append(outcome.samples)
        trial = TrialRecord(number, metrics, ranks, pooled.conditions, outcome.series)
        trials = (*self.case.record.trials, trial)
        self.case.record = replace(self.case.record, trials=trials, steps=self._steps)
        if outcome.samples is not None and number > len(self._finished):
            kept = StoredTrial(pooled, outcome.samples, outcome.series)
            self._run.keep_trial(self.case.record, self._work.stored(kept))
        _check_reads(pooled, f"trial {number}")
        return pooled

    def _pause(self, step: Step, trial: int | None, seconds: float, when: str) -> None:
        """Pause, for what is left of the time if the pause began during the trial before."""
        if not seconds:
            return
        left_s = self._engine.left_of_pause(seconds)
        overlapped_s = seconds - left_s
        if overlapped_s:
            when = f"{when}, the rest of {duration(seconds)} that began in the trial before"
        if left_s:
            self._pausing.announce(when, left_s)
            self._engine.watch.begin_pause(left_s, is_after=step == "pause_after_trial")
        self._engine.pause(step, trial, left_s, overlapped_s=overlapped_s)
        self.case.record = replace(self.case.record, steps=self._steps)

    def run_unrecorded(self) -> None:
        """Run a trial under a profiler, which slows it down; its figures are not kept."""
        self._begin()
        pooled = self._work.run_unrecorded(self.count + 1)
        self.notes.append(
            f"{self._name}: one more trial ran under --benchmark-cprofile; its "
            "figures are not in the results"
        )
        self.case.record = replace(self.case.record, steps=self._steps)
        if pooled.failure is not None:
            raise pooled.failure
        _check_reads(pooled, "the profiled trial")


def _check_reads(pooled: PooledTrial, trial: str) -> None:
    """Raise CorruptReadsError if reads of a trial found other data than was written."""
    wrong = pooled.wrong_data(trial)
    if wrong:
        raise CorruptReadsError(wrong)
