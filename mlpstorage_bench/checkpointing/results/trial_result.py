"""Results of one checkpoint over all ranks, and of a case: all that were written or read."""

from __future__ import annotations

from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.records import ObjectiveRecord
from mlpstorage_bench.checkpointing.config.parameters import Kind
from mlpstorage_bench.checkpointing.results.metrics.checkpoints import Checkpoints
from mlpstorage_bench.checkpointing.results.metrics.latencies import Latencies
from mlpstorage_bench.checkpointing.results.metrics.ranks import Ranks
from mlpstorage_bench.checkpointing.results.notes import notes_on, notes_on_reads
from mlpstorage_bench.errors import NotMeasuredError
from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.metric.values import Values, as_json, number_of
from mlpstorage_bench.trial.base_trial import BaseTrial
from mlpstorage_bench.units import GIB


@dataclass(frozen=True)
class CheckpointTrial(Checkpoints, Latencies, Ranks, BaseTrial):
    """One checkpoint over all ranks: every metric is an attribute."""

    kind: Kind

    @property
    def round_s(self) -> float:
        """Seconds of the checkpoint."""
        return self.checkpoint_s

    @property
    def conditions(self) -> TrialConditions:
        """Conditions that may have changed the metrics, besides the storage."""
        moved_gib_s = (self.read_gib_s or 0.0) + (self.write_gib_s or 0.0)
        return self.conditions_at(moved_gib_s, self.stragglers, self.straggler_loss)

    def wrong_data(self, trial: str) -> str:
        """Return how many files had other data than was written, and the first; '' if none."""
        if not self.corrupt_reads:
            return ""
        return (
            f"{self.corrupt_reads} files of {trial} had other data than was written. The first: "
            f"{self.corruption}"
        )

    def failure_note(self, case: str) -> str:
        """Return a note on a failed checkpoint, in a sentence."""
        moved = self.read_bytes + self.write_bytes
        return (
            f"{case}: checkpoint {self.trial} failed after {self.checkpoint_s:.2f} s, when "
            f"{moved / GIB:.2f} GiB were moved. It is in the metadata as failed_trial, and in no "
            "mean"
        )


@dataclass(frozen=True)
class CheckpointingResult:
    """A test case: its checkpoints, and every metric of all of them."""

    case: str
    """Name of the case."""
    kind: Kind
    trials: tuple[CheckpointTrial, ...]
    values: Values
    """Metrics of the case by name."""
    read_again: int = 0
    """Reads of a checkpoint that the case had read before."""

    @property
    def latencies(self) -> Latencies:
        """Percentiles of the samples of all checkpoints, in milliseconds; None without samples."""
        return Latencies(self.values)

    @property
    def gib_s(self) -> float:
        """Bandwidth in GiB/s, the mean of the checkpoints' rates."""
        return self._number("write_gib_s" if self.kind == "write" else "read_gib_s")

    @property
    def write_gib_s(self) -> float:
        """Bandwidth of checkpoints that were written, in GiB/s; NotMeasuredError of reads."""
        return self._number("write_gib_s")

    @property
    def read_gib_s(self) -> float:
        """Bandwidth of checkpoints that were read, in GiB/s; NotMeasuredError of writes."""
        return self._number("read_gib_s")

    @property
    def checkpoint_s(self) -> float:
        """Mean time of a checkpoint, in seconds."""
        return self._number("checkpoint_s")

    @property
    def standstill_s(self) -> float:
        """Mean time that training stands still for a checkpoint; NotMeasuredError of reads."""
        return self._number("standstill_s")

    @property
    def objectives(self) -> tuple[ObjectiveRecord, ...]:
        """Objectives: checkpoints have none."""
        return ()

    def metrics(self) -> dict[str, object]:
        """Return every metric by name, with the number of checkpoints, for JSON."""
        return {"trials": len(self.trials), **as_json(self.values)}

    def notes(self) -> list[str]:
        """Return notes on the metrics, in sentences."""
        of_reads = notes_on_reads(len(self.trials), self.read_again)
        return [f"{self.case}: {note}" for note in (*of_reads, *notes_on(self.values))]

    def _number(self, name: str) -> float:
        value = number_of(self.values[name])
        if value is None:
            raise NotMeasuredError(f"{name} of {self.case} was not measured")
        return value
