"""Charts of a case over time: bandwidth and p95 by second, trial after trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mlpstorage_bench.measure.time_series import PhaseSeries, TimeSeries
from mlpstorage_bench.report.charts.bar_chart import COLORS
from mlpstorage_bench.report.charts.line_chart import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Axes,
    Band,
    Line,
    line_chart,
)
from mlpstorage_bench.report.charts.marks import Figure
from mlpstorage_bench.report.charts.scale import between, linear, number_text
from mlpstorage_bench.report.tables import Section, thinned
from mlpstorage_bench.results.metadata_parts import TrialFacts
from mlpstorage_bench.units import GIB

MOST_POINTS = 240
"""Points of a line: of more slots, neighbours are put together."""
_MOST_ROWS = 80
_MOST_TRIALS = 6
_MOST, _MOST_S = 1e18, 1e9
"""Amount of one slot, and time in seconds, beyond which metadata is not of a trial."""
_LONGEST_BEFORE = 2.0
"""Longest phase before the window that is drawn, in lengths of the window."""
_GAP_SHARE = 0.04
"""Space between two trials, as a share of the longest."""
_LEAST_SLOT_SHARE = 0.25
"""Part of a slot's length from which its rate is shown: of shorter ones it says little."""


_KINDS = ("read", "write")
_WINDOW = "window"
"""The last phase."""


@dataclass(frozen=True)
class Moved:
    """Reads or writes of a slot."""

    size: int
    """Bytes."""
    entries: int
    p95_ms: float | None

    def joined(self, other: Moved) -> Moved:
        """Return both as one, with the greater p95: a percentile cannot be added."""
        known = [one.p95_ms for one in (self, other) if one.p95_ms is not None]
        return Moved(self.size + other.size, self.entries + other.entries, max(known, default=None))


@dataclass(frozen=True)
class Slot:
    """Amounts of one slot, or of several neighbours."""

    trial: int
    phase: str
    begins_s: float
    """Since the window's opening."""
    length_s: float
    kinds: tuple[Moved, Moved]
    """Reads and writes."""

    def joined(self, other: Slot) -> Slot:
        """Return both slots as one."""
        reads, writes = (
            one.joined(another) for one, another in zip(self.kinds, other.kinds, strict=True)
        )
        return replace(self, length_s=self.length_s + other.length_s, kinds=(reads, writes))

    def gib_s(self, kind: int) -> float:
        """Return the bandwidth of reads (0) or writes (1)."""
        return self.kinds[kind].size / self.length_s / GIB


def time_charts(trials: Sequence[TrialFacts]) -> Iterator[Figure]:
    """Yield bandwidth and p95 over time, one trial after another; nothing without series."""
    known = [
        (one.trial, near)
        for one in trials
        if one.time_series is not None and (near := _near(one.time_series)) is not None
    ][:_MOST_TRIALS]
    slots = [slot for trial, series in known for slot in _slots(trial, series)]
    if not slots:
        return
    count = sum(1 for one in trials if one.time_series is not None)
    left = f"The first {_MOST_TRIALS} of {count} trials. " if count > _MOST_TRIALS else ""
    together = -(-len(slots) // MOST_POINTS)
    if together > 1:
        slots = list(_together(slots, together))
        left += f"Each point is {together} slots together, with the greatest p95 of them. "
    has_warm_up = any(slot.phase != _WINDOW for slot in slots)
    before = "; before them is the warm-up" if has_warm_up else ""
    remark = f"{left}The windows have a background{before}."
    kinds = _kinds(slots)
    offsets, windows, most = _offsets(known)
    bands = [
        Band(begin, end, f"trial {trial}") for trial, (begin, end) in windows.items() if end > begin
    ]
    for title, unit, pairs, table in (
        ("Bandwidth over time", "GiB/s", _rates(slots, offsets, kinds), _rate_table(slots, kinds)),
        ("p95 over time", "ms", _p95(slots, offsets, kinds), _p95_table(slots, kinds)),
    ):
        values = [value for _, points in pairs for _, value in points if value is not None]
        if not values:
            continue
        x = between(0.0, most, LEFT, RIGHT)
        labels = [(offsets[known[0][0]], "0 s")]
        labels += [(end, f"{number_text(end - offsets[t])} s") for t, (_, end) in windows.items()]
        axes = Axes(x, linear(values, BOTTOM, TOP), "since each window's opening", unit, labels)
        lines = [
            Line(name, COLORS[kind], points)
            for (name, points), kind in zip(pairs, kinds, strict=True)
        ]
        words = (
            f"{name}: {number_text(min(shown))} to {number_text(max(shown))} {unit}"
            for name, points in pairs
            if (shown := [value for _, value in points if value is not None])
        )
        summary = f"{len(known)} trials; {'; '.join(words)}"
        yield line_chart(title, summary, lines, axes, table, bands, (remark,))


def _near(series: TimeSeries) -> TimeSeries | None:
    """Return the window with what is drawn before it; None without a usable window.

    Preconditioning may take hours: a phase that is much longer than the window is left out, with
    all before it.
    """
    phases: list[PhaseSeries] = []
    for phase in reversed(series.phases):
        length_s = _length_s(phase)
        is_usable = 0 < length_s <= _MOST_S and phase.slot_s > 0 and abs(phase.begins_s) <= _MOST_S
        longest = _LONGEST_BEFORE * _length_s(phases[0]) if phases else length_s
        if not is_usable or not _is_complete(phase) or length_s > longest:
            break
        phases.append(phase)
    return replace(series, phases=tuple(reversed(phases))) if phases else None


def _is_complete(phase: PhaseSeries) -> bool:
    """Return whether each slot has all its amounts, as in files of ours."""
    columns = [
        column for one in phase.kinds() for column in (one.moved_bytes, one.entries, one.p95_ms)
    ]
    amounts = (amount for column in columns for amount in column if amount is not None)
    return len({*map(len, columns)}) == 1 and all(0 <= amount <= _MOST for amount in amounts)


def _slots(trial: int, series: TimeSeries) -> Iterator[Slot]:
    for phase in series.phases:
        for number, length_s in enumerate(phase.slot_lengths_s()):
            if length_s > 0 and length_s >= _LEAST_SLOT_SHARE * min(phase.slot_s, _length_s(phase)):
                yield _slot(trial, phase, number, length_s)


def _length_s(phase: PhaseSeries) -> float:
    return phase.ends_s - phase.begins_s


def _slot(trial: int, phase: PhaseSeries, number: int, length_s: float) -> Slot:
    reads, writes = (
        Moved(one.moved_bytes[number], one.entries[number], one.p95_ms[number])
        for one in phase.kinds()
    )
    begins_s = phase.begins_s + number * phase.slot_s
    return Slot(trial, phase.phase, begins_s, length_s, (reads, writes))


def _together(slots: Sequence[Slot], count: int) -> Iterator[Slot]:
    """Yield slots with up to `count` neighbours of the same trial and phase as one."""
    joined: Slot | None = None
    number = 0
    for slot in slots:
        is_same = joined is not None and (joined.trial, joined.phase) == (slot.trial, slot.phase)
        if joined is not None and is_same and number < count:
            joined, number = joined.joined(slot), number + 1
        else:
            if joined is not None:
                yield joined
            joined, number = slot, 1
    if joined is not None:
        yield joined


def _offsets(
    known: Sequence[tuple[int, TimeSeries]],
) -> tuple[dict[int, float], dict[int, tuple[float, float]], float]:
    """Return where each window opens, the edges of each window, and the end of the axis."""
    lengths = [series.phases[-1].ends_s - series.phases[0].begins_s for _, series in known]
    gap = _GAP_SHARE * max(lengths)
    offsets: dict[int, float] = {}
    windows: dict[int, tuple[float, float]] = {}
    at = 0.0
    for (trial, series), length in zip(known, lengths, strict=True):
        offsets[trial] = at - series.phases[0].begins_s
        window = series.window
        windows[trial] = (offsets[trial] + window.begins_s, offsets[trial] + window.ends_s)
        at += length + gap
    return offsets, windows, max(at - gap, 1e-9)


_Points = list[tuple[float, float | None]]
_Rows = tuple[tuple[str, ...], ...]


def _kinds(slots: Sequence[Slot]) -> list[int]:
    """Return the kinds of which a slot has some; all if none has any."""
    every = range(len(_KINDS))
    return [n for n in every if any(slot.kinds[n].size for slot in slots)] or [*every]


def _rates(
    slots: Sequence[Slot], offsets: dict[int, float], kinds: Sequence[int]
) -> list[tuple[str, _Points]]:
    return [
        (_KINDS[kind], _line(slots, offsets, [one.gib_s(kind) for one in slots])) for kind in kinds
    ]


def _p95(
    slots: Sequence[Slot], offsets: dict[int, float], kinds: Sequence[int]
) -> list[tuple[str, _Points]]:
    return [
        (_KINDS[kind], _line(slots, offsets, [one.kinds[kind].p95_ms for one in slots]))
        for kind in kinds
    ]


def _line(
    slots: Sequence[Slot], offsets: dict[int, float], values: Sequence[float | None]
) -> _Points:
    """Return a point in the middle of each slot, and a break between trials."""
    points: _Points = []
    before: int | None = None
    for slot, value in zip(slots, values, strict=True):
        x = offsets[slot.trial] + slot.begins_s + slot.length_s / 2
        if before is not None and before != slot.trial:
            points.append((x, None))
        points.append((x, value))
        before = slot.trial
    return points


def _rows(slots: Sequence[Slot], cells: Callable[[Slot], Iterable[str]]) -> _Rows:
    rows = [(str(one.trial), one.phase, number_text(one.begins_s), *cells(one)) for one in slots]
    return thinned(rows, _MOST_ROWS)


def _rate_table(slots: Sequence[Slot], kinds: Sequence[int]) -> Section:
    header = ("trial", "phase", "from s", *(f"{_KINDS[kind]} GiB/s" for kind in kinds))
    return Section(
        "Bandwidth over time",
        header,
        _rows(slots, lambda one: (number_text(one.gib_s(kind)) for kind in kinds)),
    )


def _p95_table(slots: Sequence[Slot], kinds: Sequence[int]) -> Section:
    header = ("trial", "phase", "from s", *(f"{_KINDS[kind]} p95 ms (number)" for kind in kinds))
    return Section(
        "p95 over time", header, _rows(slots, lambda one: (_ms(one.kinds[kind]) for kind in kinds))
    )


def _ms(moved: Moved) -> str:
    return "-" if moved.p95_ms is None else f"{number_text(moved.p95_ms)} ({moved.entries})"
