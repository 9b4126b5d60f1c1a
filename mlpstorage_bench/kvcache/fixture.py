"""The `kvcache` fixture's object: runs cases of the KV-cache benchmark in a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic import ValidationError

from mlpstorage_bench.benchmark_type import (
    CaseRecord,
    FailedTrialRecord,
    Json,
    OpenCase,
    TrialRecord,
)
from mlpstorage_bench.errors import (
    CorruptReadsError,
    InvalidInputError,
    SloError,
    UntouchedStorageError,
    nearest,
)
from mlpstorage_bench.kvcache.config.slo import Objective, violations
from mlpstorage_bench.kvcache.config.workload import SYNONYMS, Workload, canonical
from mlpstorage_bench.kvcache.plan import KVCachePlan
from mlpstorage_bench.kvcache.results.case_result import KVCacheResult
from mlpstorage_bench.kvcache.results.notes import UNTOUCHED
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.results.stored_trial import restored_trial, stored_trial
from mlpstorage_bench.kvcache.results.trial_result import TrialResult
from mlpstorage_bench.kvcache.runner.engine import Engine, TrialOutcome
from mlpstorage_bench.paths import check_path_component
from mlpstorage_bench.results.kept_trials import KeptTrial


class Timed(Protocol):
    """The part of pytest-benchmark's `benchmark` fixture that is used here."""

    @property
    def extra_info(self) -> dict[str, object]:
        """Additional values for its JSON."""
        ...

    @property
    def stats(self) -> Any:
        """Its statistics; None before the first round."""
        ...

    @property
    def was_used(self) -> bool:
        """Whether the test has measured something."""
        ...

    def pedantic(self, target: Callable[[], object], *, rounds: int, iterations: int) -> object:
        """Run the target `rounds` times and time each."""
        ...


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


@dataclass(frozen=True)
class TrialCounts:
    """Number of trials of each case, and where finished ones are kept."""

    planned: int
    most: int
    """The same with all that the gate may add."""
    run: RunTrials


class KVCache:
    """Builds and runs KV-cache workloads on every rank."""

    def __init__(
        self,
        plan: KVCachePlan,
        engine: Engine,
        benchmark: Timed,
        advance_clock: Callable[[float], None],
        open_case: Callable[[CaseRecord], OpenCase],
        objectives: Sequence[Objective] = (),
        *,
        trials: TrialCounts,
        offer_more: Callable[[str, Callable[[int], None]], None] = lambda _case, _run: None,
    ) -> None:
        self._plan = plan
        self._engine = engine
        self._benchmark = benchmark
        self._advance_clock = advance_clock
        self._open_case = open_case
        """Adds a case to the run, with a unique name."""
        self._objectives = objectives
        """The test's own objectives, in addition to those of the workload."""
        self._trials = trials
        self._offer_more = offer_more
        """Registers a case's name, and a function that runs more trials of it on all ranks."""

    @property
    def workloads(self) -> tuple[str, ...]:
        """Names of the profile's workloads."""
        return tuple(self._plan.profile.workloads)

    def workload(self, name: str | int, **parameters: Any) -> Workload:
        """Return a workload with some parameters changed; the user's settings take precedence."""
        workloads = self._plan.profile.workloads
        if str(name) not in workloads:
            raise InvalidInputError(
                "kvcache.run: workload",
                str(name),
                f"workloads of profile {self._plan.profile.name}: {', '.join(workloads)}",
                hint=nearest(str(name), workloads),
            )
        if self._plan.mode == "closed" and parameters:
            raise InvalidInputError(
                "kvcache.run",
                ", ".join(parameters),
                "no parameters in mode closed, which runs the workloads as they are",
            )
        parameters = canonical("kvcache.run", parameters)
        values = workloads[str(name)].model_dump()
        for key in parameters.keys() - values.keys():
            hint = nearest(key, [*values, *SYNONYMS])
            raise InvalidInputError("kvcache.run", key, f"one of {', '.join(values)}", hint=hint)
        user_set = self._plan.set_by_user(str(name))
        model = {"model": values["model"], **parameters, **user_set}["model"]
        values["geometry"] = self._plan.profile.models.get(model)
        try:
            return Workload.model_validate({**values, **parameters, **user_set})
        except ValidationError as error:
            problem = error.errors()[0]
            raise InvalidInputError(
                f"kvcache.run: {problem['loc'][0]}", problem["input"], str(problem["msg"])
            ) from error

    def _trace_parts(self, case: str, trial: int) -> dict[str, str]:
        """Return the parts of a trace's file name: workload and trial, if there are several."""
        parts = {} if self.workloads == (case,) else {"workload": case}
        return {**parts, "trial": str(trial)} if self._trials.most > 1 else parts

    def run(
        self, workload: str | int, *, case: str | None = None, **parameters: Any
    ) -> KVCacheResult:
        """Run a workload of the profile: its trials as rounds of pytest-benchmark, on all ranks.

        `case` is the name under which results are kept, by default the workload's.

        A round's time is the window's seconds ÷ the requests that all ranks completed in it, so
        that pytest-benchmark's OPS are requests per second. Every metric goes to `extra_info`.
        """
        changed = self.workload(workload, **parameters)
        if self._benchmark.was_used:
            raise InvalidInputError(
                "kvcache.run",
                "a second measurement in one test",
                "one in each test, because pytest-benchmark times one function of a test",
                hint="Move it to a test of its own; a test with the argument kvcache_workload runs "
                "once for each workload",
            )
        name = check_path_component("case", str(workload) if case is None else case)
        opened = self._open_case(
            CaseRecord(
                benchmark_type=self._plan.benchmark_type,
                case=name,
                planned_trials=self._trials.planned,
                parameters=changed.model_dump(),
                option=self._plan.option(name, changed) if name == str(workload) else None,
            )
        )
        name = opened.record.case
        changes = self._plan.notes_on_changes(str(workload), changed)
        trials = _Trials(
            self._engine, changed, self._plan.profile.seed, opened, self._trials.run, changes
        )
        if trials.finished < self._trials.planned:
            self._engine.rest(self._plan.profile.delay_between_workloads)
        self._write_record(opened)

        def round_() -> None:
            if trials.count == self._trials.planned:  # the call of --benchmark-cprofile
                trials.run_unrecorded()
                return
            try:
                self._advance_clock(trials.run_one(self._trace_parts(name, trials.count + 1)))
            finally:
                self._write_record(opened)

        self._benchmark.pedantic(round_, rounds=self._trials.planned, iterations=1)
        result = self._keep_result(trials)
        self._offer_more(name, lambda count: self._run_more(trials, count))
        if self._plan.mode == "closed" and not result.touched_storage:
            raise UntouchedStorageError(f"workload {name}: {UNTOUCHED}")
        objectives = [
            *self._objectives,
            *(Objective(qos, slo) for qos, slo in changed.slos.items()),
        ]
        problems = violations(objectives, result.classes)
        if problems:
            raise SloError(f"workload {name} missed its objectives: {'; '.join(problems)}")
        return result

    def _run_more(self, trials: _Trials, count: int) -> None:
        """Run trials in addition to the planned ones; pytest-benchmark counts them as rounds."""
        more = [
            trials.run_one(self._trace_parts(trials.case.record.case, trials.count + 1))
            for _ in range(count)
        ]
        timed = self._benchmark.stats
        rounds = type(timed.stats)()  # the existing one caches its figures
        for seconds in (*timed.stats.data, *more):
            rounds.update(seconds)
        timed.stats = rounds
        self._keep_result(trials)

    def _keep_result(self, trials: _Trials) -> KVCacheResult:
        """Return the result of all trials so far, after adding it to the case and the JSON."""
        result = trials.result()
        metrics = result.metrics()
        case = trials.case
        case.record = replace(case.record, metrics=metrics, notes=(*trials.notes, *result.notes()))
        self._write_record(case)
        self._benchmark.extra_info.update(metrics)
        return result

    def _write_record(self, case: OpenCase) -> None:
        """Put a case's record into pytest-benchmark's JSON."""
        self._benchmark.extra_info["mlpstorage"] = case.record.to_json()


class _Trials:
    """The trials of one case so far, on all ranks."""

    def __init__(
        self,
        engine: Engine,
        workload: Workload,
        seed: int,
        case: OpenCase,
        run: RunTrials,
        notes: Sequence[str] = (),
    ) -> None:
        self.case = case
        """The case, whose record is replaced after each trial."""
        self._engine = engine
        self._workload = workload
        self._seed = seed
        self._trials: list[TrialResult] = []
        self._samples: list[PooledHistograms] = []
        """Histograms of each trial, on rank 0."""
        self.notes = [*notes]
        """Notes for the reader of the results, besides those on the trials."""
        self._run = run
        self._finished: list[TrialOutcome] = []
        """Trials that earlier parts of the run have finished, from the first on."""
        if run.is_resumed:
            self._finished = engine.share([*_restored(run.finished_trials(case.record))])

    @property
    def finished(self) -> int:
        """Number of trials that earlier parts of the run have finished."""
        return len(self._finished)

    @property
    def count(self) -> int:
        """Number of trials so far."""
        return len(self._trials)

    def run_one(self, trace_parts: dict[str, str]) -> float:
        """Run the next trial and return its seconds per request."""
        number = self.count + 1
        is_finished = number <= len(self._finished)
        if is_finished:
            outcome = self._finished[number - 1]
        else:
            outcome = self._engine.run_trial(self._workload, self._seed, number, trace_parts)
        pooled, ranks = outcome.result, outcome.ranks or ()
        metrics = pooled.metrics()
        if pooled.failure is not None:
            self.case.record = replace(
                self.case.record,
                failed_trial=FailedTrialRecord(
                    number, metrics, ranks, pooled.conditions, failure=str(pooled.failure)
                ),
                notes=(*self.notes, pooled.failure_note(self.case.record.case)),
            )
            raise pooled.failure
        self._trials.append(pooled)
        if outcome.samples is not None:
            self._samples.append(outcome.samples)
        trial = TrialRecord(number, metrics, ranks, pooled.conditions)
        trials = (*self.case.record.trials, trial)
        self.case.record = replace(self.case.record, trials=trials)
        if outcome.samples is not None and not is_finished:
            self._run.keep_trial(self.case.record, stored_trial(pooled, outcome.samples))
        _check_reads(pooled, f"trial {number}")
        return pooled.seconds_per_request

    def run_unrecorded(self) -> None:
        """Run a trial under a profiler, which slows it down; its figures are not kept."""
        workload = self._workload.model_copy(update={"trace_out": None})
        number = self.count + 1
        pooled = self._engine.run_trial(workload, self._seed, number, {}).result
        self.notes.append(
            f"workload {self.case.record.case}: one more trial ran under --benchmark-cprofile; its "
            "figures are not in the results"
        )
        if pooled.failure is not None:
            raise pooled.failure
        _check_reads(pooled, "the profiled trial")

    def result(self) -> KVCacheResult:
        """Return the result of all trials so far."""
        return self._engine.pool_case(self.case.record.case, self._trials, self._samples)


def _restored(kept: Sequence[KeptTrial]) -> Iterator[TrialOutcome]:
    """Yield finished trials, until one cannot be read."""
    for one in kept:
        try:
            result, samples = restored_trial(one.state)
        except ValueError:
            return
        yield TrialOutcome(result, samples, one.ranks)


def _check_reads(pooled: TrialResult, trial: str) -> None:
    """Raise CorruptReadsError if reads of a trial found other data than was written."""
    if pooled.corrupt_reads:
        raise CorruptReadsError(
            f"{pooled.corrupt_reads} reads of {trial} found other data than was written. The "
            f"first: {pooled.corruption}"
        )
