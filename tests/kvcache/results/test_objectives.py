"""Objectives are judged by the samples of all trials, and a limit without samples is not met."""

from __future__ import annotations

from dataclasses import replace

from mlpstorage_bench.kvcache.config.request_counters import ClassCounters, RequestCounters
from mlpstorage_bench.kvcache.config.slo import Objective, Slo
from mlpstorage_bench.kvcache.results.objectives import judged
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.measure.operation_statistics import (
    STORAGE_TIER,
    OperationKey,
    OperationStatistics,
)

MS = 1_000_000


def samples(spans_ms: dict[str, list[int]], requests_ms: list[int]) -> PooledHistograms:
    reads, in_memory = OperationStatistics(), OperationStatistics()
    for span, values in spans_ms.items():
        for value in values:
            getattr(reads, span).record(value * MS)
            getattr(in_memory, span).record(9_999 * MS)
    interactive = ClassCounters()
    for value in requests_ms:
        interactive.latency.record(value * MS)
    return PooledHistograms(
        RequestCounters(classes={"interactive": interactive}),
        {
            OperationKey(STORAGE_TIER, "read", "16 to 256 MiB"): reads,
            OperationKey("cpu", "read", "16 to 256 MiB"): in_memory,
        },
    )


def test_each_objective_has_its_own_span_on_storage_and_its_samples() -> None:
    pooled = samples({"device": [80], "block": [30, 40], "chunk": [1, 2, 3]}, [200] * 4)
    names = ("read", "read_block", "read_chunk", "interactive")
    found = judged([Objective(name, Slo(p99_ms=50.0)) for name in names], pooled)  # type: ignore[arg-type]  # names of objectives
    assert [(one.objective, one.samples, one.of, one.is_met) for one in found] == [
        ("read", 1, "entries", False),
        ("read_block", 2, "blocks", True),
        ("read_chunk", 3, "chunks", True),
        ("interactive", 4, "requests", False),
    ]


def test_missed_objective_gives_limit_value_and_samples() -> None:
    pooled = samples({}, [80] * 10)
    first, second = judged([Objective("interactive", Slo(p95_ms=50.0, p99_ms=90.0))], pooled)
    assert str(first).startswith("interactive: p95_ms is 80")
    assert str(first).endswith("; accepted: at most 50 (10 requests, fewer than the 20 of p95)")
    assert (first.is_met, second.is_met) == (False, True)


def test_objective_without_samples_is_missed() -> None:
    (write,) = judged([Objective("write_block", Slo(p50_ms=5.0))], samples({"block": [1]}, []))
    assert str(write) == "write_block: no blocks ended, so p50_ms is unknown"
    assert not write.is_met


def test_few_samples_of_a_high_percentile_are_named() -> None:
    limits = Slo(p50_ms=5.0, p95_ms=5.0, p999_ms=5.0, p9999_ms=5.0)
    found = judged([Objective("read_chunk", limits)], samples({"chunk": [1] * 20}, []))
    assert [one.counted for one in found] == [
        "20 chunks",
        "20 chunks",
        "20 chunks, fewer than the 1000 of p999",
        "20 chunks, fewer than the 10000 of p9999",
    ]
    assert replace(found[0], percentile="p" + "9" * 9000).counted == "20 chunks"
