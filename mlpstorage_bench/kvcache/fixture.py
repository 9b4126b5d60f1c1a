"""The `kvcache` fixture's object: runs cases of the KV-cache benchmark in a test."""

from __future__ import annotations

from typing import Any, cast

from pydantic import ValidationError

from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.errors import InvalidInputError, SloError, UntouchedStorageError, nearest
from mlpstorage_bench.kvcache.config.slo import (
    MARKER,
    Objective,
    objective_of_marker,
    on_blocks,
    on_storage,
)
from mlpstorage_bench.kvcache.config.workload import SYNONYMS, Workload
from mlpstorage_bench.kvcache.plan import KVCachePlan
from mlpstorage_bench.kvcache.results.case_result import KVCacheResult
from mlpstorage_bench.kvcache.results.notes import UNTOUCHED
from mlpstorage_bench.kvcache.runner.engine import Engine
from mlpstorage_bench.kvcache.runner.workload_trials import WorkloadRuns, WorkloadTrials
from mlpstorage_bench.paths import check_path_component
from mlpstorage_bench.profiles.schema import canonical, refused
from mlpstorage_bench.trial.case_trials import Pausing
from mlpstorage_bench.trial.rounds import Rounds, check_is_first
from mlpstorage_bench.trial.services import TestServices


class KVCache:
    """Builds and runs KV-cache workloads on every rank."""

    def __init__(self, services: TestServices) -> None:
        self._services = services
        self._plan = cast("KVCachePlan", services.plan)
        self._engine = cast("Engine", services.engine)
        self._objectives = [
            objective_of_marker(mark.args, mark.kwargs)
            for mark in services.markers
            if mark.name == MARKER
        ]
        """The test's own objectives, in addition to those of the workload."""

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
            raise refused("kvcache.run", parameters, error) from error

    def _trace_parts(self, case: str, trial: int) -> dict[str, str]:
        """Return the parts of a trace's file name: workload and trial, if there are several."""
        parts = {} if self.workloads == (case,) else {"workload": case}
        return {**parts, "trial": str(trial)} if self._services.trials.most > 1 else parts

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
        if self._is_closed and self._services.trials.planned != self._plan.trials(
            is_scenario=False
        ):
            raise InvalidInputError(
                "kvcache.run: trials",
                self._services.trials.planned,
                f"{self._plan.trials(is_scenario=False)}, the number of mode closed",
                hint="Leave out --benchmark-disable and --mlps-gate-selftest",
            )
        check_is_first(self._services.benchmark, "kvcache.run", "kvcache_workload")
        name = check_path_component("case", str(workload) if case is None else case)
        opened, run = self._services.open_case(
            CaseRecord(
                benchmark_type=self._plan.benchmark_type,
                case=name,
                planned_trials=self._services.trials.planned,
                parameters=changed.model_dump(),
                option=self._plan.option(name, changed) if name == str(workload) else None,
            )
        )
        name = opened.record.case
        changes = self._plan.notes_on_changes(str(workload), changed)
        pausing = Pausing(self._plan.pauses, self._services.trials.announce_pause)
        runs = WorkloadRuns(
            self._engine,
            changed,
            self._plan.profile.seed,
            trace_parts=lambda number: self._trace_parts(name, number),
        )
        trials = WorkloadTrials(self._engine, runs, opened, pausing, run, changes)
        self._engine.show_to(self._services.trials.viewer, is_on=self._services.trials.is_watched)

        def pool() -> KVCacheResult:
            return self._engine.pool_case(name, trials.results, trials.samples, objectives)

        rounds = Rounds(self._services, trials)
        result = rounds.run(pool)
        if not self._is_closed:
            rounds.offer_more(pool)
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
