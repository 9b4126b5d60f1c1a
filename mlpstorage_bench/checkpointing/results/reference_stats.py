"""Statistics of checkpoints in the reference's form: of each rank, and the metrics of the summary.

The reference's `GB` is 2^30 bytes. The mean of bandwidths is the mean of the rates of checkpoints,
and deviations are those of the whole population.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.checkpointing.config.parameters import KINDS, Kind

WORDS: Mapping[Kind, str] = {"write": "save", "read": "load"}
"""The reference's words for writing and reading a checkpoint."""
_DIGITS = 6


@dataclass(frozen=True)
class TimedCheckpoint:
    """A checkpoint that was written or read by all ranks."""

    kind: Kind
    number: int
    """Its number, from 1 on."""
    start: datetime
    end: datetime
    duration_s: float
    """Rounded to microseconds."""
    gib_s: float

    @classmethod
    def of(
        cls, kind: Kind, number: int, began_at: float, duration_s: float, size_gib: float
    ) -> TimedCheckpoint:
        """Return a checkpoint that began so many seconds after the epoch, in local time."""
        rounded = round(duration_s, _DIGITS)
        return cls(
            kind,
            number,
            datetime.fromtimestamp(began_at),  # noqa: DTZ006 - the reference's times have no zone
            datetime.fromtimestamp(began_at + rounded),  # noqa: DTZ006 - see above
            rounded,
            size_gib / rounded if rounded else 0.0,
        )

    @property
    def key(self) -> str:
        """The reference's name of the checkpoint."""
        return f"{WORDS[self.kind]}_ckpt{self.number}"

    def to_json(self) -> Json:
        """Return the checkpoint as the statistics of a rank have it."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "duration": self.duration_s,
            "throughput": self.gib_s,
        }


def rank_statistics(checkpoints: Sequence[TimedCheckpoint]) -> Json:
    """Return the content of `<rank>_per_epoch_stats.json`."""
    if not checkpoints:
        return {}
    return {
        "1": {
            "start": checkpoints[0].start.isoformat(),
            **{one.key: one.to_json() for one in checkpoints},
            "end": checkpoints[-1].end.isoformat(),
        }
    }


def summary_metric(checkpoints: Sequence[TimedCheckpoint], size_gib: float) -> Json:
    """Return `metric` of the summary: without the keys of a kind that did not run."""
    metric: dict[str, float] = {}
    for kind in KINDS:
        own = [one for one in checkpoints if one.kind == kind]
        if not own:
            continue
        name = f"{WORDS[kind]}_checkpoint"
        rates, durations = [one.gib_s for one in own], [one.duration_s for one in own]
        metric |= {
            f"{name}_io_mean_GB_per_second": statistics.fmean(rates),
            f"{name}_io_stdev_GB_per_second": statistics.pstdev(rates),
            f"{name}_duration_mean_seconds": statistics.fmean(durations),
            f"{name}_duration_stdev_seconds": statistics.pstdev(durations),
        }
    return {**metric, "checkpoint_size_GB": size_gib}
