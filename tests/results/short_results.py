"""A benchmark type for tests of kept trials."""

from __future__ import annotations

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.kvcache.benchmark import KVCacheBenchmark


class ShortResults(KVCacheBenchmark):
    """The benchmark type, for results of ranks that have nothing but their numbers."""

    def __init__(self, place: str = "case_{case}/trial_{trial}/rank_{rank}/results.json") -> None:
        self._place = place

    def rank_result_path(self, case: CaseRecord, result: Json, timestamp: str) -> str:
        """Return the path of a rank's result in the run's directory."""
        del timestamp
        return self._place.format(case=case.case, **result)
