"""Files of a run in the reference's form: its summary, and the statistics of each rank.

What DLIO says of hosts is left out: the metadata has it, and DLIO's lists are wrong with several
ranks on a host. Ours are under `mlpstorage`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.checkpointing.results.rank_result import RecordedPart, recorded_rank
from mlpstorage_bench.checkpointing.results.recorded_case import kind_of
from mlpstorage_bench.checkpointing.results.reference_stats import (
    TimedCheckpoint,
    rank_statistics,
    summary_metric,
)
from mlpstorage_bench.metric.values import number_of
from mlpstorage_bench.units import GIB


def summarise(
    cases: Sequence[CaseRecord],
    *,
    host_count: int,
    total_ranks: int,
    objections: Sequence[str],
) -> Json:
    """Return the content of `summary.json`."""
    timed = [one for case in cases for one in _timed(case, 0)]
    host = next((rank.host for case in cases for rank in _ranks(case)), "")
    size = _size_gib(cases)
    return {
        "start": min(one.start for one in timed).isoformat() if timed else None,
        "num_accelerators": total_ranks,
        "num_hosts": host_count,
        "hostname": host,
        "metric": summary_metric(timed, size),
        "data_size_per_host_GB": size * _stored(timed) / max(1, host_count),
        "epochs": 0,
        "end": max(one.end for one in timed).isoformat() if timed else None,
        "mlpstorage": {
            "valid": not objections,
            "not_valid_because": list(objections),
            "cases": {case.case: {"metrics": case.metrics} for case in cases},
        },
    }


def files_of_ranks(cases: Sequence[CaseRecord], total_ranks: int) -> Iterator[tuple[str, Json]]:
    """Yield the name and the content of each rank's output and statistics."""
    for rank in range(total_ranks):
        timed = [one for case in cases for one in _timed(case, rank)]
        if not timed:
            continue
        statistics = rank_statistics(timed)
        yield f"{rank}_per_epoch_stats.json", statistics
        own = [one for case in cases for one in _ranks(case) if one.rank == rank]
        yield (
            f"{rank}_output.json",
            {
                "1": {
                    f"{one.kind} {one.trial}": {
                        "host": one.host,
                        "seconds": one.window_s,
                        "bytes": one.tensor_bytes,
                    }
                    for one in own
                }
            },
        )


def resolved_arguments(cases: Sequence[CaseRecord]) -> Json:
    """Return the reference's arguments that a run has resolved; none before its first trial."""
    modes = {rank.io_mode for case in cases for rank in _ranks(case)}
    return {"o_direct": modes == {"direct"}} if modes else {}


def _timed(case: CaseRecord, rank: int) -> Iterator[TimedCheckpoint]:
    """Yield the checkpoints of a case that a rank took part in; times are those of all ranks."""
    kind = kind_of(case)
    for trial in case.trials:
        duration = number_of(trial.metrics.get("checkpoint_s"))
        size = number_of(trial.metrics.get("checkpoint_bytes"))
        parts = [recorded_rank(f"case {case.case}", one) for one in trial.ranks]
        own = next((one for one in parts if one.rank == rank), None)
        if kind is None or duration is None or size is None or own is None:
            continue
        yield TimedCheckpoint.of(kind, trial.trial, own.opened_at, duration, size / GIB)


def _stored(timed: Sequence[TimedCheckpoint]) -> int:
    """Return the number of checkpoints on the storage: those written, or those of a read phase."""
    written = {one.number for one in timed if one.kind == "write"}
    return len(written or {one.number for one in timed})


def _ranks(case: CaseRecord) -> Iterator[RecordedPart]:
    for trial in case.trials:
        for one in trial.ranks:
            yield recorded_rank(f"case {case.case}", one)


def _size_gib(cases: Sequence[CaseRecord]) -> float:
    sizes = (
        number_of(trial.metrics.get("checkpoint_bytes")) for case in cases for trial in case.trials
    )
    return max((size for size in sizes if size is not None), default=0.0) / GIB
