"""The KV-cache benchmark type, as the registry loads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import cast

from mlpstorage_bench.benchmark_type.figures import CaseFigures
from mlpstorage_bench.benchmark_type.interface import RankSite, Standing, TypeFields
from mlpstorage_bench.benchmark_type.plan import Plan, PlanRequest
from mlpstorage_bench.benchmark_type.records import NO_PAUSES, CaseRecord, Json, Pauses
from mlpstorage_bench.kvcache.config import mlperf
from mlpstorage_bench.kvcache.config.profile_file import (
    load_profile,
    parameter_names,
    shipped_profiles,
)
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.fio_job import fio_job
from mlpstorage_bench.kvcache.fixture import KVCache
from mlpstorage_bench.kvcache.plan import KVCachePlan
from mlpstorage_bench.kvcache.results.case_figures import case_figures
from mlpstorage_bench.kvcache.results.conclusions import conclusions
from mlpstorage_bench.kvcache.results.metrics.declared import TABLE
from mlpstorage_bench.kvcache.results.recorded_case import path_of_rank, standing
from mlpstorage_bench.kvcache.results.recorded_rank import recorded_rank
from mlpstorage_bench.kvcache.results.reference_parameters import (
    reference_parameters,
    values_of_run,
)
from mlpstorage_bench.kvcache.results.reference_summary import summarise
from mlpstorage_bench.kvcache.runner.engine import Engine
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.trial.base_type import BaseType
from mlpstorage_bench.trial.foreign_traffic import foreign_traffic
from mlpstorage_bench.trial.services import TestServices

_WITHOUT_EFFECT_ON_LOAD = frozenset(
    {"title", "slos", "block_mib", "calibration", "trace_in", "trace_out", "read_back_gb"}
)
"""Parameters that do not change the load on the storage. The hash of its requests identifies a
recorded workload, so that the path of its file does not matter."""
_FINGERPRINT_VERSION = 2
"""Increase it when the meaning of a parameter changes the load.

2: entries of a trial stay on storage until the next trial begins, and are removed then; pauses are
part of the fingerprint.
"""


class KVCacheBenchmark(BaseType):
    """Makes plans and engines of KV-cache runs, and the names and contents of their files."""

    name = "kv_cache"
    table = TABLE
    has_objectives = True
    exports = MappingProxyType({"fio_job": fio_job})

    @property
    def parameter_names(self) -> frozenset[str]:
        """Names of the parameters that `--mlps-set` may change, without workloads."""
        return parameter_names()

    @property
    def profile_names(self) -> Sequence[str]:
        """Names of the profiles that the type ships."""
        return tuple(shipped_profiles())

    def planned_trials(self, plan: Plan, *, is_scenario: bool) -> int:
        """Return the number of trials that the plan has for a test."""
        return cast("KVCachePlan", plan).trials(is_scenario=is_scenario)

    def fixture(self, services: TestServices) -> KVCache:
        """Return the object that a test gets."""
        return KVCache(services)

    def plan(self, request: PlanRequest) -> KVCachePlan:
        """Return the plan for the user's options; InvalidInputError if it cannot run."""
        if request.mode == "closed":
            mlperf.check_closed(request)
        profile = load_profile(
            request.profile, request.overrides, seed=request.seed, trials=request.trials
        )
        return KVCachePlan(
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
        default, must not make earlier results incomparable. The requests of a rank are a function
        of the parameters and its number, so that rank 0's hash is sufficient.
        """
        workload = Workload.model_validate(parameters)
        own = RankWorkload.for_rank(workload, seed, rank=0, ranks=ranks)
        return {
            "version": _FINGERPRINT_VERSION,
            "benchmark_type": self.name,
            "parameters": workload.model_dump(
                mode="json", exclude_defaults=True, exclude=set(_WITHOUT_EFFECT_ON_LOAD)
            ),
            "seed": seed,
            "ranks": ranks,
            "request_stream_sha256": own.sha256(),
            **({} if pauses == NO_PAUSES else {"pauses": asdict(pauses)}),
        }

    def open(self, plan: Plan, ranks: TrialRanks, site: RankSite) -> Engine:
        """Return the engine that runs this rank's part of a plan."""
        profile = cast("KVCachePlan", plan).profile
        return Engine(ranks, site, profile.workloads, profile.seed)

    def rank_result_path(self, case: CaseRecord, result: Json, timestamp: str) -> str:
        """Return the path of a rank's result in the directory of a run of this time.

        InvalidInputError if it is no result of a rank.
        """
        return path_of_rank(case, recorded_rank(f"case {case.case}", result), timestamp)

    def conclusions(self, cases: Sequence[CaseRecord]) -> Sequence[str]:
        """Return what the results say about the storage, in a few sentences."""
        measured = {one.case: one.metrics for one in cases if one.metrics is not None}
        return [*foreign_traffic(cases, "workload"), *conclusions(measured)]

    def figures(self, case: CaseRecord) -> CaseFigures:
        """Return the figures of a case for a report."""
        return case_figures(case)

    def metadata_fields(self, parameters: Json, cases: Sequence[CaseRecord]) -> TypeFields:
        """Return this type's parts of the metadata; `parameters` are the plan's."""
        repeated = {**values_of_run(parameters)}
        fields = {"kvcache_model": repeated.pop("model"), **repeated}
        return TypeFields(reference_parameters(parameters, cases), fields, self.conclusions(cases))

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
        return summarise(
            cases,
            directory=directory,
            npernode=npernode,
            host_count=host_count,
            total_ranks=total_ranks,
            objections=objections,
        )

    def standing(self, cases: Sequence[CaseRecord], parameters: Json, total_ranks: int) -> Standing:
        """Return whether figures of a run with these parameters can stand beside MLPerf's."""
        return standing(cases, parameters, total_ranks)


KV_CACHE = KVCacheBenchmark()
