"""The benchmark type, and the object of its fixture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from mlpstorage_bench.own_types import (
    NO_PAUSES,
    BaseType,
    CaseRecord,
    CaseTrials,
    Json,
    LaneEngine,
    LaneFiles,
    LaneLoad,
    LaneResult,
    LaneTrials,
    Pauses,
    Pausing,
    Plan,
    PlanRequest,
    RankSite,
    Rounds,
    Standing,
    TestedType,
    TestServices,
    TrialRanks,
    check_is_first,
    check_path_component,
)

from .metrics import TABLE
from .plan import CASE, MIB, PROFILES, CopyPlan, Parameters


class CopyFiles:
    """The fixture's object."""

    def __init__(self, services: TestServices) -> None:
        self._services = services
        self._plan = cast("CopyPlan", services.plan)
        self._engine = cast("LaneEngine", services.engine)

    def run(self, case: str = CASE, **parameters: object) -> LaneResult:
        """Run the trials of a case on all ranks, as rounds of pytest-benchmark."""
        copied, services, engine = self._plan.changed(parameters), self._services, self._engine
        check_is_first(services.benchmark, "copy_files.run", "copy_files_case")
        own = copied.model_dump()
        record = CaseRecord(
            benchmark_type=COPY_FILES.name,
            case=check_path_component("case", case),
            planned_trials=services.trials.planned,
            parameters=own,
        )
        opened, run = services.open_case(record, copied.model)
        load = LaneLoad(_copying(copied), copied.lanes, own, copied.io_chunk_kib)
        pausing = Pausing(self._plan.pauses, services.trials.announce_pause)
        trials = CaseTrials(engine, LaneTrials(engine, load), opened, pausing, run)
        engine.show_to(services.trials.viewer, is_on=services.trials.is_watched)

        def pool() -> LaneResult:
            return engine.pool_case(opened.record.case, trials.results, trials.samples)

        rounds = Rounds(services, trials)
        result = rounds.run(pool)
        rounds.offer_more(pool)
        return result


def _copying(copied: Parameters) -> Callable[[LaneFiles], None]:
    """Return the work of each lane."""

    def copy(files: LaneFiles) -> None:
        names = [f"file {number} of lane {files.number}" for number in range(copied.files)]
        for written in [files.write(name, copied.file_mib * MIB) for name in names]:
            files.read(written)

    return copy


class CopyFilesType(BaseType):
    """Plans, engines and result files of this type."""

    name = "copy_files"
    table = TABLE
    parameter_names = frozenset(Parameters.model_fields)
    profile_names = tuple(PROFILES)

    def plan(self, request: PlanRequest) -> CopyPlan:
        """Return the plan for the user's options; InvalidInputError if it cannot run."""
        return CopyPlan.of(request)

    def open(self, plan: Plan, ranks: TrialRanks, site: RankSite) -> LaneEngine:
        """Return this rank's engine."""
        copied = cast("CopyPlan", plan).copied
        return LaneEngine(ranks, site, plan.seed, TABLE, copied.rank_bytes)

    def planned_trials(self, plan: Plan, *, is_scenario: bool) -> int:  # noqa: ARG002 - the same
        """Return the number of trials of a test."""
        return cast("CopyPlan", plan).copied.trials

    def fixture(self, services: TestServices) -> CopyFiles:
        """Return the object that a test gets."""
        return CopyFiles(services)

    def workload_parts(
        self, parameters: Json, seed: int, ranks: int, pauses: Pauses = NO_PAUSES
    ) -> Json:
        """Return everything that must be equal for two results to be comparable.

        A parameter at its default is left out: reports show the others.
        """
        return {
            "benchmark_type": self.name,
            "parameters": Parameters.model_validate(parameters).model_dump(
                exclude_defaults=True, exclude={"seed", "trials"}
            ),
            "seed": seed,
            "ranks": ranks,
            "pauses": vars(pauses),
        }

    def rank_result_path(self, case: CaseRecord, result: Json, timestamp: str) -> str:
        """Return the path of a rank's result in the directory of a run of this time."""
        own = cast("Mapping[str, object]", result["mlpstorage"])
        return f"{timestamp}_{case.case}_trial{own['trial']}_rank{own['rank']}.json"

    def summarise(
        self,
        cases: Sequence[CaseRecord],
        *,
        directory: Path,
        npernode: int,  # noqa: ARG002 - the interface's
        host_count: int,
        total_ranks: int,
        objections: Sequence[str] = (),
    ) -> Json:
        """Return the content of a run's summary."""
        return {
            "run": directory.name,
            "hosts": host_count,
            "ranks": total_ranks,
            "objections": [*objections],
            "cases": {one.case: one.metrics for one in cases},
        }

    def standing(self, cases: Sequence[CaseRecord], parameters: Json, total_ranks: int) -> Standing:  # noqa: ARG002 - the interface's
        """Return that figures stand for themselves."""
        return Standing(objections=("copy_files has no rules to follow",))


COPY_FILES: TestedType = CopyFilesType()
