"""Records of ranks and cases of checkpoints, made without storage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlpstorage_bench.benchmark_type.records import CaseRecord, TrialRecord
from mlpstorage_bench.checkpointing.config.parameters import Kind
from mlpstorage_bench.checkpointing.results.pooling import (
    pool_case,
    pool_checkpoint,
    pool_samples,
)
from mlpstorage_bench.checkpointing.results.rank_checkpoint import (
    CheckpointSamples,
    RankCheckpoint,
)
from mlpstorage_bench.checkpointing.results.rank_result import rank_result
from mlpstorage_bench.measure.clock_offset import WindowEdges
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.operation_statistics import (
    STORAGE_TIER,
    OperationKey,
    OperationStatistics,
)
from mlpstorage_bench.units import GIB, MIB, NS_PER_S
from tests.checkpointing.runs import parameters

BEGAN_AT = 1_800_000_000.0


def rank_checkpoint(
    rank: int = 0,
    kind: Kind = "write",
    checkpoint: int = 1,
    seconds: float = 2.0,
    began_s: float = 0.0,
    size: int = GIB,
    **changes: Any,
) -> RankCheckpoint:
    """Return a rank's part of a checkpoint that began `began_s` after the first rank's."""
    operation = OperationStatistics(moved_bytes=size, submitted_bytes=size, chunks=size // MIB)
    operation.chunk.record(10_000_000)
    operation.device.record(round(seconds * NS_PER_S))
    operation.host.record(round(seconds * NS_PER_S))
    if kind == "write":
        operation.durability.record(5_000_000)
    opened_ns = round(began_s * NS_PER_S)
    moved = Traffic(size, 0) if kind == "read" else Traffic(0, size)
    made = RankCheckpoint(
        rank=rank,
        host=f"host{rank}",
        kind=kind,
        checkpoint=checkpoint,
        tensor_bytes=size,
        files=1,
        opened_at=BEGAN_AT + 10 * checkpoint,
        window_s=seconds,
        drain_s=0.0,
        closed_by="complete",
        io_mode="direct",
        in_flight=8,
        chunk_bytes=MIB,
        operations={OperationKey(STORAGE_TIER, kind, "1 GiB and more"): operation},
        process_traffic=moved,
        device_traffic=None,
        cpu_s=0.1,
        peak_rss_bytes=MIB,
        corruption="",
        edges=WindowEdges(opened_ns, opened_ns + round(seconds * NS_PER_S), 1000, 0),
    )
    return replace(made, **changes)


def case_of(
    kind: Kind,
    checkpoints: list[list[RankCheckpoint]],
    planned: int | None = None,
    **changes: Any,
) -> CaseRecord:
    """Return the record of a case; `changes` are those of its parameters."""
    own = parameters(**changes)
    trials, samples = [], []
    for ranks in checkpoints:
        trials.append(pool_checkpoint(ranks))
        samples.append(CheckpointSamples.of(ranks))
    result = pool_case(kind, kind, trials, pool_samples(CheckpointSamples.total(samples)))
    return CaseRecord(
        benchmark_type="checkpointing",
        case=kind,
        planned_trials=len(checkpoints) if planned is None else planned,
        parameters=own.model_dump(mode="json"),
        trials=tuple(
            TrialRecord(trial.trial, trial.metrics(), [rank_result(own, rank) for rank in ranks])
            for trial, ranks in zip(trials, checkpoints, strict=True)
        ),
        metrics=result.metrics(),
    )
