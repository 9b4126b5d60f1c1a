"""Checkpoints: bandwidth, duration, and the time that training stands still."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlpstorage_bench.checkpointing.results.checkpoint_ranks import RANKS
from mlpstorage_bench.metric.declaration import AcrossTrials, Measured, Metric, Shown
from mlpstorage_bench.metric.rules import LARGEST, MEAN, MEAN_WITH_SPREAD, SUM
from mlpstorage_bench.metric.values import Values, numbers_in
from mlpstorage_bench.units import BYTES, COUNT, GIB_PER_S, SECONDS

_BANDWIDTH = "bytes of tensors ÷ checkpoint_s; of several checkpoints, the mean of their rates"


def _percentile(percent: int) -> AcrossTrials:
    """Return the rule for a percentile of the checkpoints of a case, by nearest rank."""

    def combine(name: str, trials: Sequence[Values]) -> float | None:
        known = sorted(numbers_in(trials, name))
        return known[max(0, math.ceil(percent / 100 * len(known)) - 1)] if known else None

    return AcrossTrials(f"{percent} % of checkpoints do not exceed it", combine)


class Checkpoints(Measured):
    """Checkpoints."""

    write_gib_s = Metric(
        "Bandwidth of checkpoints that are written; none of those that are read.",
        GIB_PER_S,
        RANKS.together("sum of bytes ÷ time of all", lambda trial: trial.gib_s("write")),
        MEAN_WITH_SPREAD,
        formula=_BANDWIDTH,
        title="write GiB/s",
        better="higher",
        gate="-10%",
        shown=Shown.LISTS,
        aliases=("write_bandwidth",),
    )
    read_gib_s = Metric(
        "Bandwidth of checkpoints that are read; none of those that are written.",
        GIB_PER_S,
        RANKS.together("sum of bytes ÷ time of all", lambda trial: trial.gib_s("read")),
        MEAN_WITH_SPREAD,
        formula=_BANDWIDTH,
        title="read GiB/s",
        better="higher",
        gate="-10%",
        shown=Shown.LISTS,
        aliases=("read_bandwidth",),
    )
    checkpoint_s = Metric(
        "Time of a checkpoint: from when all ranks begin together until the files of the slowest "
        "one are complete, and durable as configured. Of an asynchronous one, it begins after the "
        "copy to memory (snapshot_s), which standstill_s includes.",
        SECONDS,
        RANKS.together("last end - first beginning", lambda trial: trial.duration_s),
        MEAN_WITH_SPREAD,
        title="checkpoint s",
        better="lower",
        shown=Shown.HEADLINE,
    )
    checkpoint_p50_s = Metric(
        "Median time of a checkpoint.",
        SECONDS,
        RANKS.together("last end - first beginning", lambda trial: trial.duration_s),
        _percentile(50),
        title="checkpoint p50 s",
        better="lower",
        shown=Shown.REPORT,
    )
    checkpoint_p95_s = Metric(
        "Time that 95 % of the checkpoints do not exceed; with fewer than 20, the longest.",
        SECONDS,
        RANKS.together("last end - first beginning", lambda trial: trial.duration_s),
        _percentile(95),
        title="checkpoint p95 s",
        better="lower",
        shown=Shown.REPORT,
    )
    standstill_s = Metric(
        "Time that training stands still for a checkpoint: its whole time. Of an asynchronous one, "
        "the copy to memory, which checkpoint_s excludes, and the time by which writing ends later "
        "than the training that begins with it (time_between_checkpoints). None of reads.",
        SECONDS,
        RANKS.together("largest", lambda trial: trial.standstill_s),
        MEAN_WITH_SPREAD,
        title="standstill s",
        better="lower",
        shown=Shown.HEADLINE,
        legend="standstill: time for which training waits for a checkpoint that is written; "
        "asynchronous ones are copied to memory in it, and written while training goes on",
    )
    snapshot_s = Metric(
        "Time until every rank's share was copied to memory; none where that is not done.",
        SECONDS,
        RANKS.together("largest", lambda trial: trial.snapshot_s),
        MEAN,
        title="snapshot s",
        better="lower",
        shown=Shown.REPORT,
    )
    checkpoint_bytes = Metric(
        "Bytes of tensors in a checkpoint of all ranks.",
        BYTES,
        RANKS.total(lambda rank: rank.tensor_bytes),
        LARGEST,
        title="checkpoint size",
        shown=Shown.REPORT,
    )
    write_bytes = Metric(
        "Bytes written to storage: tensors, headers, and what fills up the last sector of each.",
        BYTES,
        RANKS.total(lambda rank: rank.reported.write_bytes),
        SUM,
    )
    read_bytes = Metric(
        "Bytes read from storage.",
        BYTES,
        RANKS.total(lambda rank: rank.reported.read_bytes),
        SUM,
    )
    files = Metric(
        "Files of a checkpoint of all ranks.",
        COUNT,
        RANKS.total(lambda rank: rank.files),
        LARGEST,
        shown=Shown.REPORT,
    )
    verified_reads = Metric(
        "Chunks read from storage whose content was checked and right.",
        COUNT,
        RANKS.total(lambda rank: rank.stored[0].verified_chunks),
        SUM,
        title="chunks verified",
        shown=Shown.REPORT,
    )
    corrupt_reads = Metric(
        "Files in which a read found other data than was written. Any fails the run.",
        COUNT,
        RANKS.total(lambda rank: rank.corrupt_files),
        SUM,
        title="files corrupt",
        better="lower",
        shown=Shown.REPORT,
    )
