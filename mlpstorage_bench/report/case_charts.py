"""Charts of one case: latencies, time, shares, ranks, audit and ceiling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import mean

from mlpstorage_bench.benchmark_type.figures import CaseFigures, Distribution, Share, ShareGroup
from mlpstorage_bench.report.charts.bar_chart import (
    Amount,
    Row,
    bar_chart,
    share_chart,
    text_of,
)
from mlpstorage_bench.report.charts.line_chart import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Axes,
    Line,
    line_chart,
)
from mlpstorage_bench.report.charts.marks import Figure, KeyEntry
from mlpstorage_bench.report.charts.scale import Scale, logarithmic, number_text
from mlpstorage_bench.report.tables import Section
from mlpstorage_bench.units import BYTES, MILLISECONDS, size_text

STYLES = {"read": "c1", "write": "c2"}
READ_AND_WRITE = (KeyEntry("c1", "read"), KeyEntry("c2", "write"))
_PERCENT_LABELS = (
    (50.0, "50 %"),
    (90.0, "90 %"),
    (99.0, "99 %"),
    (99.9, "99.9 %"),
    (99.99, "99.99 %"),
    (99.999, "99.999 %"),
)
_TABLE_PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9, 99.99)
MOST_RANKS = 24
"""Ranks that have bars: of more, the slowest and the fastest."""


def latency_chart(case: CaseFigures) -> Figure | None:
    """Return the distributions of latencies over percentiles; None without samples."""
    shown = [one for one in case.distributions if any(value > 0 for _, value in one.points)]
    if not shown:
        return None
    lines = [
        Line(
            f"{one.name} ({one.samples} samples)",
            STYLES[one.kind] + (" dashed" if one.is_of_parts else ""),
            [(_nines(percent, one.samples), value) for percent, value in one.points if value > 0],
        )
        for one in shown
    ]
    values = [value for one in shown for _, value in one.points if value > 0]
    most = max(x for line in lines for x, _ in line.points)
    labels = [(_nines(p, 0), text) for p, text in _PERCENT_LABELS if _nines(p, 0) <= most]
    axes = Axes(
        Scale(0.0, max(most, 1.0), LEFT, RIGHT, ()),
        logarithmic(values, BOTTOM, TOP),
        "of samples are at most this long",
        "ms, logarithmic",
        labels,
    )
    parts = [f"{one.name}: {_percentiles_in_words(one)}" for one in shown]
    rows = [
        (
            one.name,
            str(one.samples),
            *(_at(one, percent) for percent in _TABLE_PERCENTS),
            MILLISECONDS.text(one.points[-1][1], 1),
        )
        for one in shown
    ]
    header = ("operation", "samples", *(f"p{p:g} ms" for p in _TABLE_PERCENTS), "max ms")
    return line_chart(
        "Latency on storage",
        "; ".join(parts),
        lines,
        axes,
        Section("Latency on storage", header, tuple(rows)),
        remarks=("The line ends at the longest sample.",),
    )


def _nines(percent: float, samples: int) -> float:
    """Return a position that grows by 1 where the rest of the samples becomes a tenth."""
    rest = 1 - percent / 100
    if rest <= 0:
        rest = 0.5 / max(samples, 1)
    return -math.log10(rest)


def _at(one: Distribution, percent: float) -> str:
    """Return a percentile; '-' where there are too few samples for it."""
    value = dict(one.points).get(percent)
    return MILLISECONDS.text(value, 1)


def _percentiles_in_words(one: Distribution) -> str:
    known = dict(one.points)
    named = [f"p{p:g} {number_text(known[p])} ms" for p in (50, 95, 99) if p in known]
    return ", ".join([*named, f"longest {number_text(one.points[-1][1])} ms"])


def share_charts(case: CaseFigures) -> Iterator[Figure]:
    """Yield a chart for each group of wholes."""
    for group in case.shares:
        rows = [
            (whole.name, name, _amount(amount, group), f"{amount / whole.total:.1%}")
            for whole in group.shares
            for name, amount in whole.parts
            if whole.total
        ]
        words = [
            f"{whole.name}: "
            + ", ".join(f"{name} {amount / whole.total:.0%}" for name, amount in whole.parts)
            for whole in group.shares
            if whole.total
        ]
        yield share_chart(
            group.title,
            "; ".join(words),
            [(_of_whole(one, group), one.parts) for one in group.shares],
            Section(group.title, ("of", "part", "amount", "share"), tuple(rows)),
            (group.meaning,),
        )


def _of_whole(whole: Share, group: ShareGroup) -> str:
    """Return a whole with its amount, and its largest parts where a key cannot have them."""
    text = f"{whole.name}: {_amount(whole.total, group)}"
    if len(group.shares) == 1 or not whole.total:
        return text
    largest = sorted(whole.parts, key=lambda part: -part[1])[:2]
    shares = [f"{name} {amount / whole.total:.0%}" for name, amount in largest if amount]
    return f"{text} ({', '.join(shares)})"


def _amount(amount: float, group: ShareGroup) -> str:
    return size_text(amount) if group.unit == BYTES.name else text_of(amount, group.unit)


def level_chart(case: CaseFigures) -> Figure | None:
    """Return the audit and the ceiling as bars; None without them."""
    if not case.levels:
        return None
    rows = [
        Row(one.name, [Amount(one.ratio, "c3", f"{one.ratio:.1%} {one.remark}".rstrip())])
        for one in case.levels
    ]
    cells = tuple((one.name, f"{one.ratio:.1%}", one.remark or "-") for one in case.levels)
    words = "; ".join(f"{one.name}: {one.ratio:.1%} ({one.remark})" for one in case.levels)
    table = Section("Audit and ceiling", ("ratio", "value", "verdict"), cells)
    return bar_chart("Audit and ceiling", words, rows, (), table, mark=(1.0, "100 %"))


def rank_charts(case: CaseFigures, stragglers: Sequence[str]) -> Iterator[Figure]:
    """Yield the bandwidth by rank and, where there are several, by host."""
    of_ranks = [
        (f"rank {one.rank} on {one.host}", one.reading_gib_s, one.writing_gib_s)
        for one in case.ranks
    ]
    if len(of_ranks) > 1:
        yield _bandwidth_by("rank", of_ranks, stragglers)
    hosts: dict[str, list[tuple[float, float]]] = {}
    for one in case.ranks:
        hosts.setdefault(one.host, []).append((one.reading_gib_s, one.writing_gib_s))
    if len(hosts) > 1:
        of_hosts = [
            (f"host {host}", sum(read for read, _ in own), sum(write for _, write in own))
            for host, own in hosts.items()
        ]
        yield _bandwidth_by("host", of_hosts, stragglers)


def _bandwidth_by(
    kind: str, bandwidths: Sequence[tuple[str, float, float]], stragglers: Sequence[str]
) -> Figure:
    shown, left_out = bandwidths, ""
    if len(bandwidths) > MOST_RANKS:
        slowest_first = sorted(bandwidths, key=lambda one: one[1] + one[2])
        half = MOST_RANKS // 2
        shown = [*slowest_first[:half], *slowest_first[-half:]]
        left_out = f"The {half} slowest and the {half} fastest of {len(bandwidths)}."
    rows = [
        Row(
            name,
            [
                Amount(read, STYLES["read"], text_of(read, "GiB/s")),
                Amount(write, STYLES["write"], text_of(write, "GiB/s")),
            ],
        )
        for name, read, write in shown
    ]
    totals = [read + write for _, read, write in bandwidths]
    summary = (
        f"{len(bandwidths)} {kind}s move {number_text(min(totals))} to "
        f"{number_text(max(totals))} GiB/s, {number_text(mean(totals))} GiB/s on average"
    )
    title = f"Bandwidth by {kind}"
    cells = tuple(
        (name, number_text(read), number_text(write), number_text(read + write))
        for name, read, write in shown
    )
    found = [one for one in stragglers if one.startswith(kind)]
    remarks = [
        *([left_out] if left_out else []),
        *(found[:8] or [f"No {kind} is slower than its peers."]),
    ]
    table = Section(title, (kind, "read GiB/s", "write GiB/s", "both GiB/s"), cells)
    return bar_chart(title, summary, rows, READ_AND_WRITE, table, remarks=remarks)
