"""Bytes, operations and latencies of a trial by second, in memory of a fixed size.

A rank has a ring for each phase of a trial, with the differences between cumulative counts that are
read once a second. A full ring adds up neighbouring slots, so that each is twice as long, and goes
on: a phase of any length is kept as a whole. Slots of several ranks are added up where they lie in
rank 0's time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mlpstorage_bench.measure.clock_offset import CommonTime
from mlpstorage_bench.measure.coarse_histogram import BUCKETS, Counts, percentile_ns
from mlpstorage_bench.measure.time_series import PhaseSeries, TimeSeries
from mlpstorage_bench.units import NS_PER_MS, NS_PER_S

Phase = Literal["preconditioning", "preparation", "warm-up", "window"]
PHASES: tuple[Phase, ...] = get_args(Phase)
SLOTS = 512
"""Slots of a ring: those of seconds, up to that many."""
SLOTS_IN_FILES_OF_RANKS = 64
KINDS = 2
"""Reads, writes."""
SPANS = 2
"""Entries (time in system calls), chunks."""
_ENTRIES, _CHUNKS = range(SPANS)
_SHAPE = (KINDS, SPANS, BUCKETS)
_P95 = 95.0


class Ring:
    """The slots of one phase on one rank."""

    def __init__(
        self, phase: Phase, begins_ns: int, slots: int = SLOTS, slot_ns: int = NS_PER_S
    ) -> None:
        self.phase: Phase = phase
        self.begins_ns = begins_ns
        self.slot_ns = slot_ns
        self._moved = np.zeros((slots, KINDS), dtype=np.int64)
        self._counts = np.zeros((slots, *_SHAPE), dtype=np.uint32)
        self._used = 0

    def add(self, began_ns: int, ended_ns: int, moved: NDArray[np.int64], counts: Counts) -> None:
        """Add bytes by kind, and counts by kind and span, to the slot with the interval's middle.

        An interval is a slot long, and its ends are a little late.
        """
        middle_ns = (began_ns + ended_ns) // 2 - self.begins_ns
        while middle_ns // self.slot_ns >= len(self._moved):
            self._halve()
        slot = max(0, middle_ns // self.slot_ns)
        self._moved[slot] += moved
        self._counts[slot] += counts.astype(np.uint32)
        self._used = max(self._used, slot + 1)

    @property
    def size_bytes(self) -> int:
        """Memory of the slots; the system provides that of slots that are used."""
        return self._moved.nbytes + self._counts.nbytes

    def _halve(self) -> None:
        half = len(self._moved) // 2
        for slots in (self._moved, self._counts):
            slots[:half] = slots[::2] + slots[1::2]
            slots[half:] = 0
        self.slot_ns *= 2
        self._used = (self._used + 1) // 2

    def until(self, ends_ns: int, time: CommonTime) -> PhaseSlots:
        """Return the slots of the phase, which has ended, in rank 0's time."""
        return PhaseSlots(
            self.phase,
            begins_ns=time.of(self.begins_ns),
            ends_ns=time.of(ends_ns),
            slot_ns=self.slot_ns,
            moved=self._moved[: self._used].copy(),
            counts=self._counts[: self._used].astype(np.int64),
        )


@dataclass
class PhaseSlots:
    """The slots of one phase, of a rank or added up over ranks, in rank 0's time."""

    phase: Phase
    begins_ns: int
    ends_ns: int
    slot_ns: int
    moved: NDArray[np.int64]
    """Bytes by slot and kind."""
    counts: Counts
    """Counts by slot, kind, span and bucket."""

    def merged(self, other: PhaseSlots) -> PhaseSlots:
        """Return the sum with another rank's, each slot added to the one it overlaps most."""
        slot_ns = max(self.slot_ns, other.slot_ns)
        ends_ns = max(self.ends_ns, other.ends_ns)
        first, second = self.coarsened(slot_ns), other.coarsened(slot_ns)
        shift = round((second.begins_ns - first.begins_ns) / slot_ns)
        if shift < 0:
            first, second, shift = second, first, -shift
        length = max(len(first.moved), shift + len(second.moved))
        moved = np.zeros((length, KINDS), dtype=np.int64)
        counts = np.zeros((length, *_SHAPE), dtype=np.int64)
        for one, at in ((first, 0), (second, shift)):
            moved[at : at + len(one.moved)] += one.moved
            counts[at : at + len(one.counts)] += one.counts
        return replace(
            self,
            begins_ns=first.begins_ns,
            ends_ns=ends_ns,
            slot_ns=slot_ns,
            moved=moved,
            counts=counts,
        )

    def coarsened(self, slot_ns: int) -> PhaseSlots:
        """Return slots of this length, a multiple of their own by a power of two."""
        factor = slot_ns // self.slot_ns
        if factor == 1:
            return self
        starts = np.arange(0, len(self.moved), factor)
        moved, counts = (
            np.add.reduceat(slots, starts) if len(starts) else slots
            for slots in (self.moved, self.counts)
        )
        return PhaseSlots(self.phase, self.begins_ns, self.ends_ns, slot_ns, moved, counts)

    def of_at_most(self, slots: int) -> PhaseSlots:
        """Return slots that are long enough to be so many at most."""
        slot_ns = self.slot_ns
        while len(self.moved) * self.slot_ns > slots * slot_ns:
            slot_ns *= 2
        return self.coarsened(slot_ns)

    def series(self, opened_ns: int) -> PhaseSeries:
        """Return the series of the phase; times are from the window's opening."""

        def p95_ms(kind: int, span: int) -> tuple[float | None, ...]:
            return tuple(_p95_ms(counts) for counts in self.counts[:, kind, span])

        moved, numbers = self.moved.tolist(), self.counts.sum(axis=-1).tolist()
        return PhaseSeries(
            phase=self.phase,
            begins_s=(self.begins_ns - opened_ns) / NS_PER_S,
            ends_s=(self.ends_ns - opened_ns) / NS_PER_S,
            slot_s=self.slot_ns / NS_PER_S,
            read_bytes=tuple(read for read, _ in moved),
            write_bytes=tuple(write for _, write in moved),
            reads=tuple(read[_ENTRIES] for read, _ in numbers),
            writes=tuple(write[_ENTRIES] for _, write in numbers),
            read_chunks=tuple(read[_CHUNKS] for read, _ in numbers),
            write_chunks=tuple(write[_CHUNKS] for _, write in numbers),
            read_p95_ms=p95_ms(0, _ENTRIES),
            write_p95_ms=p95_ms(1, _ENTRIES),
            read_chunk_p95_ms=p95_ms(0, _CHUNKS),
            write_chunk_p95_ms=p95_ms(1, _CHUNKS),
        )

    @classmethod
    def from_filled(
        cls, phase: Phase, times: tuple[int, int, int], moved: bytes, indices: bytes, counts: bytes
    ) -> PhaseSlots:
        """Return slots from their bytes and non-zero counts, as another rank sends them."""
        slots = np.frombuffer(moved, np.int64).reshape(-1, KINDS).copy()
        dense = np.zeros((len(slots), *_SHAPE), dtype=np.int64)
        dense.reshape(-1)[np.frombuffer(indices, np.uint32)] = np.frombuffer(counts, np.uint64)
        return cls(phase, *times, slots, dense)

    def __reduce__(self) -> tuple[Callable[..., PhaseSlots], tuple[Any, ...]]:
        """Pickle only the non-zero counts: small to send between ranks."""
        flat = self.counts.reshape(-1)
        filled = np.flatnonzero(flat)
        times = (self.begins_ns, self.ends_ns, self.slot_ns)
        indices, counts = filled.astype(np.uint32), flat[filled].astype(np.uint64)
        sent = (self.phase, times, self.moved.tobytes(), indices.tobytes(), counts.tobytes())
        return type(self).from_filled, sent


def _p95_ms(counts: Counts) -> float | None:
    value = percentile_ns(counts, _P95)
    return None if value is None else float(f"{value / NS_PER_MS:.4g}")


@dataclass
class SlotSeries:
    """The slots of all phases of a trial, of a rank or added up over ranks."""

    phases: dict[Phase, PhaseSlots]
    uncertainty_ns: int
    """Bound on the error of rank 0's time on any rank, from just before the window to its end."""

    def merge(self, other: SlotSeries) -> SlotSeries:
        """Return the sum with other ranks; a rank's own slots stay as they are."""
        both = {phase: self.phases[phase] for phase in self.phases.keys() & other.phases.keys()}
        added = {phase: slots.merged(other.phases[phase]) for phase, slots in both.items()}
        uncertainty_ns = max(self.uncertainty_ns, other.uncertainty_ns)
        return SlotSeries(self.phases | other.phases | added, uncertainty_ns)

    def series(self, most_slots: int = SLOTS) -> TimeSeries:
        """Return the series with so many slots of a phase at most."""
        opened_ns = self.phases["window"].begins_ns
        present = [self.phases[phase] for phase in PHASES if phase in self.phases]
        return TimeSeries(
            clock_uncertainty_s=self.uncertainty_ns / NS_PER_S,
            phases=tuple(one.of_at_most(most_slots).series(opened_ns) for one in present),
        )
