"""The `kvcache` fixture's object: runs cases of the KV-cache benchmark in a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic import ValidationError

from mlpstorage_bench.benchmark_type.records import CaseRecord, OpenCase
from mlpstorage_bench.errors import InvalidInputError, SloError, UntouchedStorageError, nearest
from mlpstorage_bench.kvcache.config.slo import MARKER, Objective, on_blocks, on_storage
from mlpstorage_bench.kvcache.config.workload import SYNONYMS, Workload
from mlpstorage_bench.kvcache.plan import KVCachePlan
from mlpstorage_bench.kvcache.results.case_result import KVCacheResult
from mlpstorage_bench.kvcache.results.notes import UNTOUCHED
from mlpstorage_bench.kvcache.runner.engine import Engine
from mlpstorage_bench.kvcache.runner.workload_trials import WorkloadRuns, WorkloadTrials
from mlpstorage_bench.paths import check_path_component
from mlpstorage_bench.profiles.schema import canonical
from mlpstorage_bench.progress.state import Viewer
from mlpstorage_bench.trial.case_trials import AnnouncePause, Pausing, RunTrials


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


@dataclass(frozen=True)
class TrialSettings:
    """Number of trials of each case, where finished ones are kept, and what announces pauses."""

    planned: int
    most: int
    """The same with all that the gate may add."""
    run: RunTrials
    announce_pause: AnnouncePause = lambda _when, _seconds: None
    viewer: Viewer | None = None
    """Where progress is shown, on rank 0."""
    is_watched: bool = False
    """Whether it is shown."""


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
        trials: TrialSettings,
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
    def _is_closed(self) -> bool:
        """Whether nothing of the sequence may vary."""
        return self._plan.mode == "closed"

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
        if self._is_closed and parameters:
            raise InvalidInputError(
                "kvcache.run",
                ", ".join(parameters),
                "no parameters in mode closed, which runs the workloads as they are",
            )
        parameters = canonical("kvcache.run", parameters, SYNONYMS)
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
        self._check_objectives(changed)
        objectives = [
            *self._objectives,
            *(Objective(name, slo) for name, slo in changed.slos.items()),
        ]
        if self._is_closed and self._trials.planned != self._plan.trials(is_scenario=False):
            raise InvalidInputError(
                "kvcache.run: trials",
                self._trials.planned,
                f"{self._plan.trials(is_scenario=False)}, the number of mode closed",
                hint="Leave out --benchmark-disable and --mlps-gate-selftest",
            )
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
        pausing = Pausing(self._plan.pauses, self._trials.announce_pause)
        runs = WorkloadRuns(
            *(self._engine, changed, self._plan.profile.seed),
            lambda number: self._trace_parts(name, number),
        )
        trials = WorkloadTrials(self._engine, runs, opened, pausing, self._trials.run, changes)
        self._write_record(opened)
        self._engine.show_to(self._trials.viewer, is_on=self._trials.is_watched)

        def round_() -> None:
            if trials.count == self._trials.planned:  # the call of --benchmark-cprofile
                trials.run_unrecorded()
                return
            try:
                self._advance_clock(trials.run_one())
            finally:
                self._write_record(opened)

        self._benchmark.pedantic(round_, rounds=self._trials.planned, iterations=1)
        result = self._keep_result(trials, objectives)
        if not self._is_closed:
            self._offer_more(name, lambda count: self._run_more(trials, objectives, count))
        elif not result.touched_storage:
            raise UntouchedStorageError(f"workload {name}: {UNTOUCHED}")
        missed = [str(one) for one in result.objectives if not one.is_met]
        if missed:
            raise SloError(f"workload {name} missed its objectives: {'; '.join(missed)}")
        return result

    def _check_objectives(self, workload: Workload) -> None:
        """Raise InvalidInputError for an objective of the test that the workload cannot have."""
        names = [one.name for one in self._objectives]
        if workload.block_mib is None and on_blocks(names):
            raise InvalidInputError(
                f"@pytest.mark.{MARKER}",
                on_blocks(names),
                "an objective on blocks where block_mib is their size, such as "
                "kvcache.run(1, block_mib=32)",
            )
        if workload.storage == "null" and on_storage(names):
            raise InvalidInputError(
                f"@pytest.mark.{MARKER}",
                on_storage(names),
                "an objective for a class of requests, as storage null takes no time",
            )

    def _run_more(
        self, trials: WorkloadTrials, objectives: Sequence[Objective], count: int
    ) -> None:
        """Run trials in addition to the planned ones; pytest-benchmark counts them as rounds."""
        more = [trials.run_one() for _ in range(count)]
        timed = self._benchmark.stats
        rounds = type(timed.stats)()  # the existing one caches its figures
        for seconds in (*timed.stats.data, *more):
            rounds.update(seconds)
        timed.stats = rounds
        self._keep_result(trials, objectives)

    def _keep_result(
        self, trials: WorkloadTrials, objectives: Sequence[Objective]
    ) -> KVCacheResult:
        """Return the result of all trials so far, after adding it to the case and the JSON."""
        case = trials.case
        result = self._engine.pool_case(
            case.record.case, trials.results, trials.samples, objectives
        )
        metrics = result.metrics()
        case.record = replace(
            case.record,
            metrics=metrics,
            objectives=result.objectives,
            notes=(*trials.notes, *result.notes()),
        )
        self._write_record(case)
        self._benchmark.extra_info.update(metrics)
        return result

    def _write_record(self, case: OpenCase) -> None:
        """Put a case's record into pytest-benchmark's JSON."""
        self._benchmark.extra_info["mlpstorage"] = case.record.to_json()
