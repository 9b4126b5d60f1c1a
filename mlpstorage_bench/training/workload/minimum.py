"""Rules for the size of a dataset, and the figures of an epoch (Rules 3.1.2 and 3.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlpstorage_bench.training.workload.models import TrainingModel
from mlpstorage_bench.units import MIB

LEAST_STEPS = 500
"""Steps that an epoch has at least."""
TIMES_MEMORY = 5
"""The data is at least so many times the memory of all hosts."""
MORE_SPACE = (
    "name another --mlps-cache-dir with more space; outside of mode closed, num_files_train, steps "
    "or scale may be lower"
)
"""Advice where a dataset does not fit."""
_PERCENT = 100.0


@dataclass(frozen=True)
class Minimum:
    """The smallest dataset that the rules accept."""

    samples_by_steps: int
    samples_by_memory: int
    files: int

    @property
    def samples(self) -> int:
        """Samples that are needed for both."""
        return max(self.samples_by_steps, self.samples_by_memory)


def minimum(model: TrainingModel, batch_size: int, accelerators: int, memory_bytes: int) -> Minimum:
    """Return the smallest dataset for accelerators on hosts with so much memory together.

    The number of files is the samples ÷ those of a file, rounded down, as the reference does.
    """
    by_steps = LEAST_STEPS * batch_size * accelerators
    by_memory = TIMES_MEMORY * memory_bytes // model.record_bytes
    samples = max(by_steps, by_memory)
    return Minimum(by_steps, by_memory, max(1, samples // model.samples_per_file))


@dataclass(frozen=True)
class EpochFigures:
    """An epoch as the reference reports it."""

    au_percentage: float
    """Accelerator utilization."""
    samples_per_s: float

    @classmethod
    def of(
        cls,
        *,
        steps: int,
        samples: int,
        computation_s: float,
        seconds: float,
        seconds_after_first: float,
    ) -> EpochFigures:
        """Return the figures of an epoch of so many steps of each accelerator.

        `samples` are those of all accelerators in the whole epoch, which took `seconds`. The first
        step, whose batch was read while nothing could be computed, is no part of the utilization:
        `seconds_after_first` begin when it ended.
        """
        ideal_s = (steps - 1) * computation_s
        utilization = ideal_s / seconds_after_first if seconds_after_first > 0 else 0.0
        return cls(_PERCENT * utilization, samples / seconds if seconds > 0 else 0.0)


def mib_per_s(samples_per_s: float, record_bytes: int) -> float:
    """Return the bandwidth that the reference reports: all bytes of each sample, read or not."""
    return samples_per_s * record_bytes / MIB


def mean(values: Sequence[float]) -> float:
    """Return the mean of epochs."""
    return sum(values) / len(values)
