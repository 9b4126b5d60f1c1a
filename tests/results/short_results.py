"""A benchmark type for tests of kept trials."""

from __future__ import annotations

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.kvcache.benchmark import KVCacheBenchmark


class ShortResults(KVCacheBenchmark):
    """The benchmark type, for results of ranks that have nothing but their numbers."""

    def rank_result_path(self, case: CaseRecord, result: Json, timestamp: str) -> str:
        """Return the path of a rank's result in the run's directory."""
        place = f"case_{case.case}/trial_{result['trial']}/rank_{result['rank']}"
        return f"{place}/kvcache_results_{timestamp}.json"
