"""The `training` fixture's object: runs trainings of the profile in a test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from pydantic import ValidationError

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.paths import check_path_component
from mlpstorage_bench.profiles.schema import canonical
from mlpstorage_bench.training.config.workload import SYNONYMS, TrainingWorkload
from mlpstorage_bench.training.plan import TrainingPlan
from mlpstorage_bench.training.results.recorded_rank import WARM_UP
from mlpstorage_bench.training.results.trial_result import TrainingResult
from mlpstorage_bench.training.runner.engine import TrainingEngine
from mlpstorage_bench.training.runner.training_trials import TrainingRuns, TrainingTrials
from mlpstorage_bench.trial.case_trials import Pausing
from mlpstorage_bench.trial.rounds import Rounds, check_is_first
from mlpstorage_bench.trial.services import TestServices
from mlpstorage_bench.units import gib


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
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"])) or "parameters"
            raise InvalidInputError(
                f"training.run: {where}", problem["input"], str(problem["msg"])
            ) from error

    def run(self, workload: str, *, case: str | None = None, **parameters: Any) -> TrainingResult:
        """Run a training of the profile: its trials as rounds of pytest-benchmark, on all ranks.

        `case` is the name under which results are kept, by default the training's. Data that does
        not exist is made first. A round's time is that of a step of an accelerator, so that
        pytest-benchmark's OPS are steps per second. Every metric goes to `extra_info`.
        """
        changed = self._engine.resolved(self.workload(workload, **parameters))
        check_is_first(self._services.benchmark, "training.run", "training_workload")
        name = check_path_component("case", workload if case is None else case)
        self._engine.show_to(self._services.trials.viewer, is_on=self._services.trials.is_watched)
        note = self._make_data(changed)
        recorded = {**changed.model_dump(), "io_mode": self._engine.io_mode_of(changed)}
        if self._plan.warm_up_trials:
            self._warm_up(name, changed, recorded)
        opened, run = self._services.open_case(
            CaseRecord(
                benchmark_type=self._plan.benchmark_type,
                case=name,
                planned_trials=self._services.trials.planned,
                parameters=recorded,
            ),
            changed.model,
        )
        name = opened.record.case
        pausing = Pausing(self._plan.pauses, self._services.trials.announce_pause)
        runs = self._runs(changed)
        trials = TrainingTrials(self._engine, runs, opened, pausing, run, note)

        def pool() -> TrainingResult:
            return self._engine.pool_case(name, changed, trials.results, trials.samples)

        rounds = Rounds(self._services, trials)
        result = rounds.run(pool)
        if self._plan.mode != "closed":
            rounds.offer_more(pool)
        return result

    def _runs(self, workload: TrainingWorkload) -> TrainingRuns:
        return TrainingRuns(self._engine, workload, self._engine.steps_of(workload))

    def _make_data(self, workload: TrainingWorkload) -> list[str]:
        """Make the files that do not exist, and return a note on them."""
        made = self._engine.generate(workload)
        if not made.files:
            return []
        note = (
            f"{made.files} files with {gib(made.written_bytes)} GiB were made first, in "
            f"{made.seconds:.1f} s ({made.gib_s:.2f} GiB/s), in "
            f"{self._engine.place(workload).directory}, and stay for other runs"
        )
        return [note]

    def _warm_up(self, name: str, workload: TrainingWorkload, recorded: Json) -> None:
        """Run the trials that do not count, as a case of their own."""
        count = self._plan.warm_up_trials
        opened, run = self._services.open_case(
            CaseRecord(
                benchmark_type=self._plan.benchmark_type,
                case=f"{name}{WARM_UP}",
                planned_trials=count,
                parameters=recorded,
            ),
            workload.model,
        )
        pausing = Pausing(self._plan.pauses, self._services.trials.announce_pause)
        trials = TrainingTrials(self._engine, self._runs(workload), opened, pausing, run)
        for _ in range(count):
            trials.run_one()
        result = self._engine.pool_case(
            opened.record.case, workload, trials.results, trials.samples
        )
        opened.record = replace(opened.record, metrics=result.metrics())
