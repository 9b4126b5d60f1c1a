"""Recording of a trial by second, from the counts that its lanes keep anyway.

The thread that supervises the lanes reads their cumulative counts once a second. A lane does
nothing for it inside the window, and takes no lock. A reading of many lanes takes longer, so that
they are read less often: every 2 s beyond 64 lanes, every 4 s beyond 128.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mlpstorage_bench.measure import coarse_histogram, histogram
from mlpstorage_bench.measure.clock_offset import CommonTime
from mlpstorage_bench.measure.coarse_histogram import Counts, coarse
from mlpstorage_bench.measure.operation_statistics import (
    KINDS,
    STORAGE_TIER,
    Kind,
    OperationStatistics,
)
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.series_slots import SPANS, Phase, PhaseSlots, Ring, SlotSeries
from mlpstorage_bench.measure.time_series import TimeSeries
from mlpstorage_bench.mpi.ranks import Ranks
from mlpstorage_bench.units import NS_PER_S


@dataclass(frozen=True)
class SeriesReading:
    """Counts of an interval, and since the phase began."""

    interval_s: float
    moved: NDArray[np.int64]
    """Bytes by kind."""
    counts: Counts
    """Counts by kind, span and bucket."""
    elapsed_s: float
    total_moved: NDArray[np.int64]
    total_operations: int
    """Entries read and written."""


class SeriesListener(Protocol):
    """Receives the phases of a trial and its readings, on the thread that reads."""

    def began(self, phase: Phase) -> None:
        """Note that a phase began."""
        ...

    def read(self, reading: SeriesReading) -> None:
        """Note an interval of a phase."""
        ...

    def ended_window(self) -> None:
        """Note that the window has closed."""
        ...


_LANES_PER_S = 64
"""Lanes that are read in a second."""


class SeriesRecorder:
    """Series of one rank's trial; used by one thread."""

    def __init__(
        self, recorders: Sequence[Recorder], listener: SeriesListener | None = None
    ) -> None:
        self._recorders = recorders
        self._listener = listener
        self._total_moved: NDArray[np.int64] = _no_bytes()
        self._total_operations = 0
        doubled = max(0, len(recorders) - 1) // _LANES_PER_S
        self._interval_ns = NS_PER_S << doubled.bit_length()
        self._rings: list[tuple[Ring, int]] = []
        """Finished phases, each with its end."""
        self._ring: Ring | None = None
        self._sampled_ns = 0
        self._due_ns = 0
        self._moved: NDArray[np.int64] = _no_bytes()
        self._counts: Counts = _no_counts()
        """Cumulative counts of the phase when they were read last."""
        self._fine = np.zeros(histogram.BUCKETS, dtype=np.int64)

    def begin(self, phase: Phase, at_ns: int) -> None:
        """Begin a phase; the window's counts begin with it."""
        self._ring = Ring(phase, at_ns, slot_ns=self._interval_ns)
        self._sampled_ns, self._due_ns = at_ns, at_ns + self._interval_ns
        if phase == "window":
            self._moved, self._counts = _no_bytes(), _no_counts()
        else:
            self._moved, self._counts = self._read(phase)
        self._total_moved, self._total_operations = _no_bytes(), 0
        if self._listener is not None:
            self._listener.began(phase)

    def sample(self, now_ns: int) -> None:
        """Record the interval that is over, if one is; to be called often while a phase runs."""
        if self._ring is None or now_ns < self._due_ns:
            return
        reading = self._record(self._ring, now_ns)
        if self._listener is not None:
            self._listener.read(reading)
        intervals = (now_ns - self._ring.begins_ns) // self._interval_ns
        self._due_ns = self._ring.begins_ns + (intervals + 1) * self._interval_ns

    def drain(self) -> None:
        """Note that the window has closed, and that lanes end what they have in flight."""
        if self._listener is not None:
            self._listener.ended_window()

    def end(self, at_ns: int) -> None:
        """End the phase, with all that was counted since the last second."""
        ring, self._ring = self._ring, None
        if ring is not None:
            self._record(ring, max(at_ns, self._sampled_ns))
            self._rings.append((ring, at_ns))

    def slots(self, time: CommonTime) -> SlotSeries:
        """Return all phases in rank 0's time."""
        phases: dict[Phase, PhaseSlots] = {
            ring.phase: ring.until(ends_ns, time) for ring, ends_ns in self._rings
        }
        return SlotSeries(phases, time.uncertainty_ns)

    def _record(self, ring: Ring, now_ns: int) -> SeriesReading:
        moved, counts = self._read(ring.phase)
        new_moved, new_counts = moved - self._moved, counts - self._counts
        ring.add(self._sampled_ns, now_ns, new_moved, new_counts)
        self._total_moved = self._total_moved + new_moved
        self._total_operations += int(new_counts[:, 0].sum())
        interval_s = (now_ns - self._sampled_ns) / NS_PER_S
        self._sampled_ns, self._moved, self._counts = now_ns, moved, counts
        return SeriesReading(
            interval_s,
            new_moved,
            new_counts,
            (now_ns - ring.begins_ns) / NS_PER_S,
            self._total_moved,
            self._total_operations,
        )

    def _read(self, phase: Phase) -> tuple[NDArray[np.int64], Counts]:
        """Return the cumulative bytes and counts of all lanes: inside the window, or before it."""
        moved, counts = _no_bytes(), _no_counts()
        for number, kind in enumerate(KINDS):
            of_kind = self._statistics(kind)
            if phase == "window":
                moved[number] = sum(one.moved_bytes for one in of_kind)
                counts[number] = [
                    self._coarse([one.device for one in of_kind]),
                    self._coarse([one.chunk for one in of_kind]),
                ]
            else:
                moved[number] = sum(one.total_bytes - one.moved_bytes for one in of_kind)
                for one in of_kind:
                    one.outside.device.add_to(counts[number, 0])
                    one.outside.chunk.add_to(counts[number, 1])
        return moved, counts

    def _statistics(self, kind: Kind) -> list[OperationStatistics]:
        return [
            statistics
            for recorder in self._recorders
            for key, statistics in list(recorder.operations.items())
            if (key.tier, key.kind) == (STORAGE_TIER, kind)
        ]

    def _coarse(self, histograms: Sequence[histogram.Histogram]) -> Counts:
        self._fine[:] = 0
        for one in histograms:
            one.add_to(self._fine)
        return coarse(self._fine)


def pool_series(ranks: Ranks, mine: SlotSeries | None) -> TimeSeries | None:
    """Return the series of all ranks on rank 0; `mine` is None on every rank in simulated time."""
    if mine is None:
        return None
    slots = ranks.merge(mine, SlotSeries.merge)
    return None if slots is None else slots.series()


def _no_bytes() -> NDArray[np.int64]:
    return np.zeros(len(KINDS), dtype=np.int64)


def _no_counts() -> Counts:
    return np.zeros((len(KINDS), SPANS, coarse_histogram.BUCKETS), dtype=np.int64)
