"""The KV-cache benchmark as an entry of the registry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from mlpstorage_bench.benchmark_type import CaseRecord, Json, PlanRequest
from mlpstorage_bench.kvcache.config import mlperf
from mlpstorage_bench.kvcache.config.profile_file import load_profile
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.fio_job import fio_job
from mlpstorage_bench.kvcache.plan import KVCachePlan
from mlpstorage_bench.kvcache.results.gated import GATED, METRIC_SYNONYMS, TRIAL_METRICS
from mlpstorage_bench.kvcache.results.reference_summary import summarise
from mlpstorage_bench.kvcache.runner.engine import Engine
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.directory import check_cache_dir

_REPEATED_PARAMETERS = (
    *("num_users", "duration", "gpu_mem_gb", "cpu_mem_gb"),
    *("cache_dir", "generation_mode", "performance_profile"),
)
"""Parameters that the reference's metadata has on its top level too."""

_NO_PART_OF_THE_LOAD = frozenset({"title", "slos", "calibration", "trace_in", "trace_out"})
"""Parameters with which the same is asked of the storage; a recorded workload is known by the hash
of its requests, wherever its file lies."""
_FINGERPRINT_VERSION = 1
"""To be raised when the same parameters come to mean another load."""


class KVCacheBenchmark:
    """Plans and opens KV-cache runs, and knows the files that they leave."""

    name = "kv_cache"
    exports = MappingProxyType({"fio_job": fio_job})
    gated = GATED
    metric_synonyms = METRIC_SYNONYMS
    trial_metrics = TRIAL_METRICS

    def plan(self, request: PlanRequest) -> KVCachePlan:
        """Return the plan of what the user asked for; InvalidInputError when it cannot run."""
        if request.mode == "closed":
            mlperf.check_closed(request.user_set, request.cache_dir, request.results_dir)
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
        )

    def workload_parts(self, parameters: Json, seed: int, ranks: int) -> Json:
        """Return everything that must be equal for two results of a case to be comparable.

        Parameters that are at their default are left out: one that is added later, and is off
        unless asked for, does not make earlier results incomparable. A rank's requests are a
        function of these and its number, so the hash of rank 0's stands for all.
        """
        workload = Workload.model_validate(parameters)
        own = RankWorkload.for_rank(workload, seed, rank=0, ranks=ranks)
        return {
            "version": _FINGERPRINT_VERSION,
            "benchmark_type": self.name,
            "parameters": workload.model_dump(
                mode="json", exclude_defaults=True, exclude=set(_NO_PART_OF_THE_LOAD)
            ),
            "seed": seed,
            "ranks": ranks,
            "request_stream_sha256": own.request_source().sha256(),
        }

    def check_site(self, cache_dir: Path) -> None:
        """Raise InvalidInputError when this host cannot keep cache files where it is told to."""
        check_cache_dir(cache_dir)

    def open(self, ranks: TrialRanks, host: str, cache_dir: Path, sharers: int) -> Engine:
        """Return the engine that runs this rank's part."""
        return Engine(ranks, host, cache_dir, sharers)

    def summary_name(self, timestamp: str) -> str:
        """Return the file name of a run's summary."""
        return f"kvcache_run_summary_{timestamp}.json"

    def rank_result_path(self, case: str, trial: int, rank: int, timestamp: str) -> str:
        """Return where a rank's result of a trial lies in the run's directory."""
        name = f"kvcache_results_{timestamp}.json"
        return f"option_{case}/trial_{trial}/rank_{rank}/{name}"

    def metadata_fields(self, parameters: Json, cases: Sequence[CaseRecord]) -> Json:
        """Return the fields that this type adds to the metadata."""
        return {
            "kvcache_model": parameters["model"],
            **{name: parameters[name] for name in _REPEATED_PARAMETERS},
            "kvcache_metrics": {case.case: case.metrics for case in cases},
        }

    def summarise(
        self,
        cases: Sequence[CaseRecord],
        *,
        run_datetime: str,
        npernode: int,
        host_count: int,
        total_ranks: int,
    ) -> Json:
        """Return the content of a run's summary."""
        return summarise(
            cases,
            run_datetime=run_datetime,
            npernode=npernode,
            host_count=host_count,
            total_ranks=total_ranks,
        )


KV_CACHE = KVCacheBenchmark()
