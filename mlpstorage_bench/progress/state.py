"""State of a run at one moment, as people watch it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """Amounts per second of all ranks."""

    read_gib_s: float
    write_gib_s: float
    operations_per_s: float
    """Entries read and written."""


@dataclass(frozen=True)
class Figures:
    """Figures of all ranks in a phase; None for what nothing has measured yet."""

    now: Rates
    """Rates in the last second."""
    mean: Rates
    """Means since the phase began."""
    read_p95_ms: float | None
    """P95 of the entries read in the last second."""
    write_p95_ms: float | None
    hit_rate: float | None
    """Share of the lookups in the window so far."""
    cpu_s_per_gib: float | None
    in_flight: int
    """Chunks that lanes have in flight, or check."""
    errors: int
    """Reads that found other data than was written."""
    is_steady: bool | None
    """Whether the last seconds meet the workload's criterion; None while there are too few."""


@dataclass(frozen=True)
class Progress:
    """Place of a run in its plan, and its figures."""

    case: str
    trial: int
    """Number of the trial, from 1."""
    trials: int
    """Trials of the case."""
    test: int
    """Number of the test among those that measure, from 1."""
    tests: int
    phase: str
    elapsed_s: float
    """Since the phase began."""
    length_s: float | None = None
    """Length of the phase; None if it ends by something else than time."""
    left_s: float | None = None
    """Until the end of all tests, estimated; None if unknown."""
    figures: Figures | None = None
    """None in a phase in which nothing is measured."""


@dataclass(frozen=True)
class Viewer:
    """Where progress is shown, on rank 0, and how often."""

    show: Callable[[Progress], None]
    """Receives each state; called on the thread that runs the trial."""
    test: int = 1
    """Number of the test among those that measure, from 1."""
    tests: int = 1
    later_trials: int | None = 0
    """Trials of the tests after it; None if they are of another kind."""
