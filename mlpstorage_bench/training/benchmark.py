"""The training benchmark type, as the registry loads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from mlpstorage_bench.benchmark_type.figures import CaseFigures
from mlpstorage_bench.benchmark_type.interface import RankSite, Standing, TypeFields
from mlpstorage_bench.benchmark_type.plan import Plan, PlanRequest
from mlpstorage_bench.benchmark_type.records import NO_PAUSES, CaseRecord, Json, Pauses
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.results.separation import fs_separation
from mlpstorage_bench.training.config import mlperf
from mlpstorage_bench.training.config.profile_file import (
    load_profile,
    parameter_names,
    shipped_profiles,
)
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.fixture import Training
from mlpstorage_bench.training.plan import TrainingPlan
from mlpstorage_bench.training.results.case_figures import case_figures
from mlpstorage_bench.training.results.conclusions import conclusions
from mlpstorage_bench.training.results.metrics.declared import TABLE
from mlpstorage_bench.training.results.recorded_case import standing
from mlpstorage_bench.training.results.recorded_rank import is_warm_up, last_trial, recorded_rank
from mlpstorage_bench.training.results.reference_epochs import per_epoch_stats
from mlpstorage_bench.training.results.reference_parameters import (
    accelerator_of_run,
    parameters_of_run,
    resolved_arguments,
)
from mlpstorage_bench.training.results.reference_summary import summarise
from mlpstorage_bench.training.runner.engine import TrainingEngine
from mlpstorage_bench.trial.base_type import BaseType
from mlpstorage_bench.trial.foreign_traffic import foreign_traffic
from mlpstorage_bench.trial.services import TestServices

_WITHOUT_EFFECT_ON_LOAD = frozenset({"title", "client_host_memory_in_gb"})
"""Parameters that do not change the load on the storage; memory only determines the files."""
_FINGERPRINT_VERSION = 2
"""Increase it when the meaning of a parameter changes the load."""


class TrainingBenchmark(BaseType):
    """Makes plans and engines of training runs, and the names and contents of their files."""

    name = "training"
    table = TABLE

    @property
    def parameter_names(self) -> frozenset[str]:
        """Names of the parameters that `--mlps-set` may change, without workloads."""
        return parameter_names()

    @property
    def profile_names(self) -> Sequence[str]:
        """Names of the profiles that the type ships."""
        return tuple(shipped_profiles())

    def planned_trials(self, plan: Plan, *, is_scenario: bool) -> int:
        """Return the number of measured trials that the plan has for a test."""
        return cast("TrainingPlan", plan).trials(is_scenario=is_scenario)

    def warm_up_trials(self, plan: Plan) -> int:
        """Return the number of trainings that a test runs before those that count."""
        return cast("TrainingPlan", plan).warm_up_trials

    def fixture(self, services: TestServices) -> Training:
        """Return the object that a test gets."""
        return Training(services)

    def plan(self, request: PlanRequest) -> TrainingPlan:
        """Return the plan for the user's options; InvalidInputError if it cannot run."""
        if request.mode == "closed":
            mlperf.check_closed(request)
        profile = load_profile(
            request.profile, request.overrides, seed=request.seed, trials=request.trials
        )
        if request.mode == "closed":
            mlperf.check_sanctioned(profile)
        return TrainingPlan(
            self.name,
            request.mode,
            profile,
            request.overrides,
            request.user_set,
            str(request.cache_dir),
            is_shipped=request.profile in shipped_profiles(),
        )

    def workload_parts(
        self, parameters: Json, seed: int, ranks: int, pauses: Pauses = NO_PAUSES
    ) -> Json:
        """Return everything that must be equal for two results of a case to be comparable.

        Parameters at their defaults are omitted: a parameter that is added later, and is off by
        default, must not make earlier results incomparable.
        """
        del pauses
        workload = TrainingWorkload.model_validate(parameters)
        files = workload.num_files_train or workload.files_for_steps(ranks) or 1
        epochs = workload.epochs_of(workload.dataset(files, seed), ranks)
        return {
            "version": _FINGERPRINT_VERSION,
            "benchmark_type": self.name,
            "parameters": workload.model_dump(
                mode="json", exclude_defaults=True, exclude=set(_WITHOUT_EFFECT_ON_LOAD)
            ),
            "seed": seed,
            "ranks": ranks,
            "request_stream_sha256": epochs.sha256(1, rank=0),
        }

    def open(self, plan: Plan, ranks: TrialRanks, site: RankSite) -> TrainingEngine:
        """Return the engine that runs this rank's part of a plan."""
        profile = cast("TrainingPlan", plan).profile
        return TrainingEngine(ranks, site, profile.workloads, profile.seed)

    def rank_result_path(self, case: CaseRecord, result: Json, timestamp: str) -> str:
        """Return the path of a rank's result in the directory of a run of this time.

        InvalidInputError if it is no result of a rank.
        """
        del timestamp
        own = recorded_rank(f"case {case.case}", result).mlpstorage
        return f"{case.case}/trial_{own.trial}/{own.rank}_output.json"

    def conclusions(self, cases: Sequence[CaseRecord]) -> Sequence[str]:
        """Return what the results say about the storage, in a few sentences."""
        trainings = [case for case in cases if not is_warm_up(case)]
        return [*foreign_traffic(trainings, "training"), *conclusions(trainings)]

    def figures(self, case: CaseRecord) -> CaseFigures:
        """Return the figures of a case for a report."""
        return case_figures(case)

    def metadata_fields(self, parameters: Json, cases: Sequence[CaseRecord]) -> TypeFields:
        """Return this type's parts of the metadata; `parameters` are the plan's."""
        resolved = parameters_of_run(parameters, cases)
        fields = {"accelerator": accelerator_of_run(parameters, cases)}
        arguments = resolved_arguments(parameters, cases)
        return TypeFields(resolved, fields, self.conclusions(cases), arguments)

    def further_files(
        self, cases: Sequence[CaseRecord], total_ranks: int, filesystems: Json | None
    ) -> Iterator[tuple[str, Json]]:
        """Yield the epochs of each rank as the reference has them, and the filesystems."""
        del total_ranks
        if filesystems is not None:
            yield "fs_separation.json", fs_separation(filesystems)
        for rank in last_trial(cases):
            yield f"{rank.mlpstorage.rank}_per_epoch_stats.json", per_epoch_stats(rank)

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
        """Return the content of a run's summary; the directory's name is the run's time.

        `objections` are those to the whole run.
        """
        del npernode
        return summarise(
            cases,
            directory=directory,
            host_count=host_count,
            total_ranks=total_ranks,
            objections=objections,
        )

    def standing(self, cases: Sequence[CaseRecord], parameters: Json, total_ranks: int) -> Standing:
        """Return whether figures of a run with these parameters can stand beside MLPerf's."""
        return standing(cases, parameters, total_ranks)


TRAINING = TrainingBenchmark()
