"""The checkpointing benchmark type, as the registry loads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

from mlpstorage_bench.benchmark_type.figures import CaseFigures
from mlpstorage_bench.benchmark_type.interface import RankSite, Standing, TypeFields
from mlpstorage_bench.benchmark_type.plan import Plan, PlanRequest
from mlpstorage_bench.benchmark_type.records import NO_PAUSES, CaseRecord, Json, Pauses
from mlpstorage_bench.checkpointing.config import mlperf
from mlpstorage_bench.checkpointing.config.parameters import Parameters
from mlpstorage_bench.checkpointing.config.profile_file import (
    Profile,
    load_profile,
    shipped_profiles,
)
from mlpstorage_bench.checkpointing.fixture import Checkpointing
from mlpstorage_bench.checkpointing.plan import CheckpointPlan
from mlpstorage_bench.checkpointing.results import reference_files
from mlpstorage_bench.checkpointing.results.case_figures import case_figures
from mlpstorage_bench.checkpointing.results.metrics.declared import TABLE
from mlpstorage_bench.checkpointing.results.notes import conclusions
from mlpstorage_bench.checkpointing.results.rank_result import path_of_rank, recorded_rank
from mlpstorage_bench.checkpointing.results.recorded_case import standing
from mlpstorage_bench.checkpointing.results.reference_parameters import reference_parameters
from mlpstorage_bench.checkpointing.runner.engine import Engine
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.results.separation import fs_separation
from mlpstorage_bench.trial.base_type import BaseType
from mlpstorage_bench.trial.foreign_traffic import foreign_traffic
from mlpstorage_bench.trial.services import TestServices

_WITHOUT_EFFECT_ON_LOAD = frozenset(
    {"phase", "accelerator", "call_out", "num_checkpoints_write", "num_checkpoints_read"}
)
_FINGERPRINT_VERSION = 2
"""Increase it when the meaning of a parameter changes the load.

2: training goes on while an asynchronous checkpoint is written, and pages of buffered and uncached
files are dropped in no time that is measured. Synchronous checkpoints with direct I/O have kept
their load; parameters do not tell them where io_mode is left out.
"""


class CheckpointingBenchmark(BaseType):
    """Makes plans and engines of checkpointing runs, and the names and contents of their files."""

    name = "checkpointing"
    table = TABLE
    has_command_level = False
    has_ordered_cases = True

    @property
    def parameter_names(self) -> frozenset[str]:
        """Names of the parameters that `--mlps-set` may change."""
        return frozenset(Profile.model_fields) - {"name", "comparable"}

    @property
    def profile_names(self) -> Sequence[str]:
        """Names of the profiles that the type ships."""
        return tuple(shipped_profiles())

    def plan(self, request: PlanRequest) -> CheckpointPlan:
        """Return the plan for the user's options; InvalidInputError if it cannot run."""
        if request.mode == "closed":
            mlperf.check_closed(request)
        profile = load_profile(
            request.profile, request.overrides, seed=request.seed, trials=request.trials
        )
        return CheckpointPlan(
            self.name,
            request.mode,
            profile,
            request.overrides,
            request.user_set,
            str(request.cache_dir),
        )

    def planned_trials(self, plan: Plan, *, is_scenario: bool) -> int:
        """Return the number of checkpoints that the plan has for a test."""
        del is_scenario
        return cast("CheckpointPlan", plan).trials

    def fixture(self, services: TestServices) -> Checkpointing:
        """Return the object that a test gets."""
        return Checkpointing(services)

    def workload_parts(
        self, parameters: Json, seed: int, ranks: int, pauses: Pauses = NO_PAUSES
    ) -> Json:
        """Return everything that must be equal for two results of a case to be comparable.

        Parameters at their defaults are omitted, as a later one must not make earlier results
        incomparable. The files of ranks follow from the parameters and the number of ranks.
        """
        own = Parameters.model_validate(parameters)
        return {
            "version": _FINGERPRINT_VERSION,
            "benchmark_type": self.name,
            "parameters": own.model_dump(
                mode="json", exclude_defaults=True, exclude=set(_WITHOUT_EFFECT_ON_LOAD)
            ),
            "seed": seed,
            "ranks": ranks,
            **({} if pauses == NO_PAUSES else {"pauses": asdict(pauses)}),
        }

    def open(self, plan: Plan, ranks: TrialRanks, site: RankSite) -> Engine:
        """Return the engine that runs this rank's part of a plan."""
        profile = cast("CheckpointPlan", plan).profile
        return Engine(ranks, site, profile.parameters, profile.seed)

    def rank_result_path(self, case: CaseRecord, result: Json, timestamp: str) -> str:
        """Return the path of a rank's result in the directory of a run of this time.

        InvalidInputError if it is no result of a rank.
        """
        del timestamp
        return path_of_rank(case, recorded_rank(f"case {case.case}", result))

    def further_files(
        self, cases: Sequence[CaseRecord], total_ranks: int, filesystems: Json | None
    ) -> Iterator[tuple[str, Json]]:
        """Yield the path and content of files that are of no single trial."""
        yield from reference_files.files_of_ranks(cases, total_ranks)
        if filesystems is not None:
            yield "fs_separation.json", fs_separation(filesystems)

    def conclusions(self, cases: Sequence[CaseRecord]) -> Sequence[str]:
        """Return what the results say about the storage, in a few sentences."""
        measured = {one.case: one.metrics for one in cases if one.metrics is not None}
        return [*foreign_traffic(cases, "case"), *conclusions(measured)]

    def figures(self, case: CaseRecord) -> CaseFigures:
        """Return the figures of a case for a report."""
        return case_figures(case)

    def metadata_fields(self, parameters: Json, cases: Sequence[CaseRecord]) -> TypeFields:
        """Return this type's parts of the metadata; `parameters` are the plan's."""
        names = Parameters.model_fields.keys() & parameters.keys()
        own = Parameters.model_validate({name: parameters[name] for name in names})
        folder = str(parameters.get("checkpoint_folder", ""))
        return TypeFields(
            reference_parameters(own, folder),
            {},
            self.conclusions(cases),
            reference_files.resolved_arguments(cases),
        )

    def summarise(
        self,
        cases: Sequence[CaseRecord],
        *,
        directory: Path,
        npernode: int,
        host_count: int,
        total_ranks: int,
        objections: Sequence[str] = (),
    ) -> Json:
        """Return the content of a run's summary.

        `objections` are those to the whole run.
        """
        del directory, npernode
        of_cases = self.standing(cases, {}, total_ranks).objections
        return reference_files.summarise(
            cases,
            host_count=host_count,
            total_ranks=total_ranks,
            objections=[*objections, *of_cases],
        )

    def standing(self, cases: Sequence[CaseRecord], parameters: Json, total_ranks: int) -> Standing:
        """Return whether figures of a run with these parameters can stand beside MLPerf's."""
        return standing(cases, parameters, total_ranks)


CHECKPOINTING = CheckpointingBenchmark()
