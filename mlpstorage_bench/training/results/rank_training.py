"""Record of one rank's measurements in one trial of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from mlpstorage_bench.measure.stragglers import Work
from mlpstorage_bench.training.workload.minimum import EpochFigures
from mlpstorage_bench.trial.rank_window import RankWindow
from mlpstorage_bench.units import NS_PER_S


@dataclass(frozen=True)
class EpochTimes:
    """An epoch of one accelerator, by its own clock."""

    epoch: int
    """Its number, from 1."""
    steps: int
    """Steps that ended."""
    began_at: float
    """When it began (seconds since the epoch of time, this host's clock)."""
    began_ns: int
    """When all ranks began it together."""
    first_step_ended_ns: int
    ended_ns: int
    """When the computation of the last step ended."""
    data_wait_ns: int
    """Time in which the accelerator waited for batches, the first one included."""
    first_wait_ns: int
    """Time in which it waited for the first batch."""
    late_ns: int = 0
    """Time by which computations after the first ended late: work of the harness on this host."""

    @property
    def seconds(self) -> float:
        """Length of the epoch."""
        return (self.ended_ns - self.began_ns) / NS_PER_S

    def figures(self, batch: int, computation_s: float) -> EpochFigures:
        """Return the epoch's figures by the reference's definitions, of this accelerator."""
        return EpochFigures.of(
            steps=self.steps,
            samples=self.steps * batch,
            computation_s=computation_s,
            seconds=self.seconds,
            seconds_after_first=(self.ended_ns - self.first_step_ended_ns) / NS_PER_S,
        )


@dataclass(frozen=True, kw_only=True)
class TrainedEpochs:
    """Epochs of one rank in one trial, and the workload that they had."""

    epochs: tuple[EpochTimes, ...]
    batch: int
    computation_s: float
    record_bytes: int
    """Mean size of a sample."""
    samples: int
    """Samples of the steps that ended."""
    least_au: float = 0.0
    """Utilization that the rules demand of the model, a share."""
    corrupt_reads: int = 0
    """Reads of samples, or of groups of them, that found other data than was written."""
    emptied_bytes: int = 0
    """Bytes of files whose pages were dropped from the page cache before the trial."""


@dataclass(frozen=True, kw_only=True)
class RankTraining(TrainedEpochs, RankWindow):
    """Record of one rank in one trial of a training."""

    @classmethod
    def of(cls, window: RankWindow, trained: TrainedEpochs) -> Self:
        """Return the record of a rank that has trained epochs in a window."""
        return cls._joined(window, trained)

    @property
    def figures(self) -> list[EpochFigures]:
        """Figures of this accelerator's epochs."""
        return [one.figures(self.batch, self.computation_s) for one in self.epochs]

    @property
    def work(self) -> Work:
        """Work of the rank on storage, to be compared with other ranks."""
        operations = sum(one.host.count for one in self.stored)
        seconds = sum(epoch.seconds for epoch in self.epochs) or self.window_s
        return self.work_of(operations, seconds=seconds)
