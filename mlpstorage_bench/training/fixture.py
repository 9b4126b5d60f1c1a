"""The `training` fixture's object: runs trainings of the profile in a test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from pydantic import ValidationError

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.paths import check_path_component
from mlpstorage_bench.profiles.schema import canonical, refused
from mlpstorage_bench.training.config.workload import SYNONYMS, TrainingWorkload
from mlpstorage_bench.training.plan import TrainingPlan
from mlpstorage_bench.training.results.generated import Generated
from mlpstorage_bench.training.results.recorded_rank import WARM_UP
from mlpstorage_bench.training.results.samples import TrainingSamples
from mlpstorage_bench.training.results.trial_result import TrainingResult, TrainingTrial
from mlpstorage_bench.training.runner.engine import TrainingEngine
from mlpstorage_bench.training.runner.training_trials import TrainingRuns, TrainingTrials
from mlpstorage_bench.trial.case_trials import Pausing
from mlpstorage_bench.trial.rounds import Rounds, check_is_first
from mlpstorage_bench.trial.services import TestServices


class Training:
    """Builds and runs trainings on every rank, each an accelerator with its loader."""

    def __init__(self, services: TestServices) -> None:
        self._services = services
        self._plan = cast("TrainingPlan", services.plan)
        self._engine = cast("TrainingEngine", services.engine)

    @property
    def workloads(self) -> tuple[str, ...]:
        """Names of the profile's trainings."""
        return self._plan.cases

    def workload(self, name: str, **parameters: Any) -> TrainingWorkload:
        """Return a training with some parameters changed; the user's settings take precedence."""
        workloads = self._plan.profile.workloads
        if name not in workloads:
            raise InvalidInputError(
                "training.run: workload",
                name,
                f"trainings of profile {self._plan.profile.name}: {', '.join(workloads)}",
                hint=nearest(name, workloads),
            )
        if self._plan.mode == "closed" and parameters:
            raise InvalidInputError(
                "training.run",
                ", ".join(parameters),
                "no parameters in mode closed, which runs the trainings as they are",
            )
        values = workloads[name].model_dump()
        parameters = canonical("training.run", parameters, SYNONYMS)
        for key in parameters.keys() - values.keys():
            hint = nearest(key, [*values, *SYNONYMS])
            raise InvalidInputError("training.run", key, f"one of {', '.join(values)}", hint=hint)
        changed = {**values, **parameters, **self._plan.set_by_user(name)}
        try:
            return TrainingWorkload.model_validate(changed)
        except ValidationError as error:
            raise refused("training.run", parameters, error) from error

    def run(self, workload: str, *, case: str | None = None, **parameters: Any) -> TrainingResult:
        """Run a training of the profile: its trials as rounds of pytest-benchmark, on all ranks.

        `case` is the name under which results are kept, by default the training's. Data that does
        not exist is made first; with --mlps-datagen that is all. A round's time is that of a step
        of an accelerator, so that pytest-benchmark's OPS are steps per second. Every metric goes to
        `extra_info`. In mode closed, each trial leaves a run of its own.
        """
        changed = self._engine.resolved(self.workload(workload, **parameters))
        check_is_first(self._services.benchmark, "training.run", "training_workload")
        name = check_path_component("case", workload if case is None else case)
        self._engine.show_to(self._services.trials.viewer, is_on=self._services.trials.is_watched)
        started = _Started(self._services, self._plan, self._engine, name, changed)
        if self._plan.generates:
            return started.make_data()
        if self._plan.mode == "closed":
            return started.run_each_apart()
        return started.run_together()


class _Started:
    """A training that a test has started."""

    def __init__(
        self,
        services: TestServices,
        plan: TrainingPlan,
        engine: TrainingEngine,
        name: str,
        workload: TrainingWorkload,
    ) -> None:
        self._services = services
        self._plan = plan
        self._engine = engine
        self._name = name
        self._workload = workload
        self._runs = TrainingRuns(engine, workload, engine.steps_of(workload))
        self._recorded: Json = {**workload.model_dump(), "io_mode": engine.io_mode_of(workload)}
        """Parameters in the results."""
        self._generated = Generated()

    def make_data(self) -> TrainingResult:
        """Make the files that do not exist, as the only round; the result has no trial."""
        opened, _ = self._services.open_case(self._record(self._name, 0), self._workload.model)

        def round_() -> None:
            is_known = self._engine.has_looked_through(self._workload)
            made = self._made()
            if not made and not is_known:
                made = ["every file existed, and none was made"]
            notes = (*made, f"the data is in {self._directory}")
            opened.record = replace(opened.record, notes=notes, facts=self._facts)
            self._services.benchmark.extra_info["mlpstorage"] = opened.record.to_json()

        self._services.benchmark.pedantic(round_, rounds=1, iterations=1)
        return self._pooled([], [])

    def run_together(self) -> TrainingResult:
        """Run all trials as one case, after those that only warm up."""
        notes = self._made()
        for number in range(1, self._plan.warm_up_trials + 1):
            self._engine.begin_case()
            warm_up = self._runs.run_unrecorded(number)
            if warm_up.failure is not None:
                raise warm_up.failure
            utilization = warm_up.au_percentage or 0.0
            notes.append(f"training {self._name}: a trial warmed up, with AU {utilization:.1f} %")
        planned = self._services.trials.planned
        opened, run = self._services.open_case(
            self._record(self._name, planned), self._workload.model
        )
        pausing = Pausing(self._plan.pauses, self._services.trials.announce_pause)
        trials = TrainingTrials(self._engine, self._runs, opened, pausing, run, notes)

        def pool() -> TrainingResult:
            return self._pooled(trials.results, trials.samples)

        rounds = Rounds(self._services, trials)
        result = rounds.run(pool)
        rounds.offer_more(pool)
        return result

    def run_each_apart(self) -> TrainingResult:
        """Run each trial as the case of a run of its own, the first ones to warm up (2.1.17)."""
        notes, planned = self._made(), self._services.trials.planned
        for later in reversed(range(self._plan.warm_up_trials)):
            self._run_apart(f"{self._name}{WARM_UP}", notes, later + planned)
        results: list[TrainingTrial] = []
        samples: list[TrainingSamples] = []

        def round_() -> None:
            trials = self._run_apart(self._name, notes, max(0, planned - len(results) - 1))
            results.extend(trials.results)
            samples.extend(trials.samples)
            self._services.advance_clock(trials.results[-1].round_s)

        self._services.benchmark.pedantic(round_, rounds=planned, iterations=1)
        result = self._pooled(results, samples)
        self._services.benchmark.extra_info.update(result.metrics())
        return result

    def _run_apart(self, name: str, notes: list[str], later: int) -> TrainingTrials:
        """Run one trial in a run of its own, `later` of which follow, and return it."""
        opened, run = self._services.open_case(
            self._record(name, 1), self._workload.model, in_run_of_its_own=True
        )
        pausing = Pausing(self._plan.pauses, self._services.trials.announce_pause)
        trials = TrainingTrials(
            *(self._engine, self._runs, opened, pausing, run, notes), later_in_test=later
        )
        try:
            trials.run_one()
            pooled = self._pooled(trials.results, trials.samples)
            found = (*notes, *pooled.notes())
            opened.record = replace(opened.record, metrics=pooled.metrics(), notes=found)
        finally:
            self._services.benchmark.extra_info["mlpstorage"] = opened.record.to_json()
        run.end_with_trials()
        return trials

    def _record(self, name: str, planned: int) -> CaseRecord:
        return CaseRecord(
            benchmark_type=self._plan.benchmark_type,
            case=name,
            planned_trials=planned,
            parameters=self._recorded,
            facts=self._facts,
        )

    @property
    def _facts(self) -> Json:
        """Facts of the files on disk and of their reader; `parameters` has other words for them."""
        made = self._generated
        return {
            "format": self._workload.format,
            "reader": self._workload.reader,
            "io_mode": self._recorded["io_mode"],
            "directory": self._directory,
            "files": self._workload.num_files_train,
            **({"generation": made.to_json()} if made.files else {}),
        }

    def _pooled(
        self, results: list[TrainingTrial], samples: list[TrainingSamples]
    ) -> TrainingResult:
        return self._engine.pool_case(self._name, self._workload, results, samples)

    @property
    def _directory(self) -> str:
        return str(self._engine.place(self._workload).directory)

    def _made(self) -> list[str]:
        """Make the files that do not exist, and return a note on them."""
        made = self._engine.generate(self._workload, looks_for_all=self._plan.generates)
        if not made.files:
            return []
        self._generated = made
        if self._plan.generates:
            return [str(made)]
        return [f"{made} before the trials; they stay for other runs, in {self._directory}"]
