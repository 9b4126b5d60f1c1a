"""Records of a trial by second, as results keep them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KindSeries:
    """Reads or writes of one phase by slot."""

    moved_bytes: tuple[int, ...]
    entries: tuple[int, ...]
    p95_ms: tuple[float | None, ...]
    """P95 of entries."""


@dataclass(frozen=True)
class PhaseSeries:
    """Amounts of one phase by slot; the last slot ends with the phase. Ranks are added up."""

    phase: str
    begins_s: float
    """Time since the window's opening, by rank 0's clock: negative before it."""
    ends_s: float
    slot_s: float
    """Length of each slot but the last."""
    read_bytes: tuple[int, ...]
    write_bytes: tuple[int, ...]
    reads: tuple[int, ...]
    """Entries."""
    writes: tuple[int, ...]
    """Entries."""
    read_chunks: tuple[int, ...]
    write_chunks: tuple[int, ...]
    read_p95_ms: tuple[float | None, ...]
    """P95 of entries, as the metric of this name; None where none ended."""
    write_p95_ms: tuple[float | None, ...]
    read_chunk_p95_ms: tuple[float | None, ...]
    write_chunk_p95_ms: tuple[float | None, ...]

    def kinds(self) -> tuple[KindSeries, KindSeries]:
        """Return the reads and the writes."""
        return (
            KindSeries(self.read_bytes, self.reads, self.read_p95_ms),
            KindSeries(self.write_bytes, self.writes, self.write_p95_ms),
        )

    def slot_lengths_s(self) -> tuple[float, ...]:
        """Return the length of each slot, by which amounts become rates."""
        length_s = self.ends_s - self.begins_s
        begins = (number * self.slot_s for number in range(len(self.read_bytes)))
        return tuple(max(0.0, min(self.slot_s, length_s - begin)) for begin in begins)


@dataclass(frozen=True)
class TimeSeries:
    """A trial by second, from its first phase to the window's close; drains are left out."""

    clock_uncertainty_s: float
    """Bound on the error by which slots of other ranks may be shifted."""
    phases: tuple[PhaseSeries, ...]
    """The phases in their order; the last one is the window, whose ends are its edges."""

    @property
    def window(self) -> PhaseSeries:
        """The measurement window."""
        return self.phases[-1]
