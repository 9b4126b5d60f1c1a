"""Results of one trial over all ranks, and of a training: all its trials together."""

from __future__ import annotations

from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.records import ObjectiveRecord
from mlpstorage_bench.errors import NotMeasuredError
from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.metric.values import Values, as_json, number_of
from mlpstorage_bench.training.results.metrics.accelerators import Accelerators
from mlpstorage_bench.training.results.metrics.reads import Reads
from mlpstorage_bench.training.results.notes import notes_on
from mlpstorage_bench.trial.base_trial import BaseTrial
from mlpstorage_bench.units import GIB


@dataclass(frozen=True)
class TrainingTrial(Accelerators, Reads, BaseTrial):
    """One trial over all ranks: every metric is an attribute."""

    @property
    def round_s(self) -> float:
        """Seconds of a step of an accelerator, the mean of all."""
        return self.window_s * self.ranks / max(self.steps, 1)

    @property
    def conditions(self) -> TrialConditions:
        """Conditions that may have changed the metrics, besides the storage."""
        return self.conditions_at(self.read_gib_s or 0.0, self.stragglers, self.straggler_loss)

    def wrong_data(self, trial: str) -> str:
        """Return how many reads found other data than was generated; '' if none did."""
        if not self.corrupt_reads:
            return ""
        return (
            f"{self.corrupt_reads} reads of {trial} found other data than was generated. The "
            f"first: {self.corruption}"
        )

    def failure_note(self, case: str) -> str:
        """Return a note on a failed trial, in a sentence."""
        return (
            f"training {case}: trial {self.trial} failed after {self.window_s:.2f} s, when "
            f"{self.steps} steps had ended and {self.read_bytes / GIB:.2f} GiB were read. It is in "
            "the metadata as failed_trial, and in no mean"
        )


@dataclass(frozen=True)
class TrainingResult:
    """A training: its trials, and every metric of all of them."""

    case: str
    """Name of the training, or of the case that a test makes of it."""
    trials: tuple[TrainingTrial, ...]
    values: Values
    """Metrics of the case by name."""
    least_au: float
    """Utilization in percent that the rules demand of the model."""
    objectives: tuple[ObjectiveRecord, ...] = ()
    """A training has none."""
    direct: str = ""
    """Settings with which its reads go around the page cache; '' if they do, or cannot."""

    @property
    def au_percentage(self) -> float:
        """Accelerator utilization in percent, the mean of the trials."""
        return self._number("au_percentage")

    @property
    def samples_per_s(self) -> float:
        """Samples per second of all accelerators, the mean of the trials."""
        return self._number("samples_per_s")

    @property
    def read_gib_s(self) -> float:
        """Bandwidth of reads in GiB/s, the mean of the trials."""
        return self._number("read_gib_s")

    @property
    def meets_expectation(self) -> bool:
        """Whether the utilization is what the rules demand of the model."""
        return self.au_percentage >= self.least_au

    def notes(self) -> list[str]:
        """Return notes on these metrics, in sentences."""
        notes = notes_on([trial.values for trial in self.trials], self.least_au, self.direct)
        return [f"training {self.case}: {note}" for note in notes]

    def metrics(self) -> dict[str, object]:
        """Return every metric by name, with the number of trials, for JSON."""
        return {"trials": len(self.trials), **as_json(self.values)}

    def _number(self, name: str) -> float:
        value = number_of(self.values[name])
        if value is None:
            raise NotMeasuredError(f"{name} of training {self.case} was not measured")
        return value
