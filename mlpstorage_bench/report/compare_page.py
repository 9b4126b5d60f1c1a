"""Report of runs side by side: whether they are alike, then each figure as bars."""

from __future__ import annotations

import itertools

from mlpstorage_bench.compare.subject import Comparison, Row
from mlpstorage_bench.report.case_table import case_title
from mlpstorage_bench.report.charts.bar_chart import COLORS, Amount, bar_chart
from mlpstorage_bench.report.charts.bar_chart import Row as Bars
from mlpstorage_bench.report.charts.marks import Figure, KeyEntry
from mlpstorage_bench.report.compare_report import UNLIKE_MARK, cell_of, notes_of
from mlpstorage_bench.report.page import Block, Fact, Page, Verdict
from mlpstorage_bench.report.tables import Section

MOST_FIGURES = 60
"""Figures on a page: more are in its tables."""


def build_comparison_report(comparison: Comparison) -> Page:
    """Make a report of runs side by side."""
    letters, rows = comparison.letters, comparison.rows
    by_case = {
        case: list(of_case) for case, of_case in itertools.groupby(rows, key=lambda row: row.case)
    }
    charts = [(row, chart) for row in rows if (chart := _chart(comparison, row)) is not None]
    drawn = charts[:MOST_FIGURES]
    blocks = [
        Block(
            case_title(case) if case else "Whole run",
            (_table(letters, of_case),),
            tuple(chart for row, chart in drawn if row.case == case),
        )
        for case, of_case in by_case.items()
    ]
    if len(charts) > len(drawn):
        left = f"{len(charts) - len(drawn)} more figures are not drawn."
        blocks.append(Block("More figures", notes=(left,)))
    alike = Section("", ("condition", "value"), tuple(comparison.alike.items()))
    subjects = zip(letters, comparison.subjects, strict=True)
    return Page(
        title=f"Comparison of {len(letters)} runs",
        verdict=_verdict(comparison),
        picture=drawn[0][1] if drawn else None,
        findings_title="What makes them unlike",
        findings=_conditions(comparison),
        facts_title="What was compared",
        facts=tuple(
            Fact(letter, f"{one.identity} ({one.program}; given as {one.given})")
            for letter, one in subjects
        ),
        blocks=(
            *blocks,
            *(block for block in _details(comparison, alike) if not block.is_empty),
        ),
    )


def _details(comparison: Comparison, alike: Section) -> tuple[Block, ...]:
    return (
        Block("Conditions that differ", (_unlike_section(comparison),)),
        Block("Conditions that are alike", (alike,), is_folded=True),
        Block("Notes on the runs", notes=notes_of(comparison), is_folded=True),
    )


def _conditions(comparison: Comparison) -> tuple[str, ...]:
    """Return the names of the conditions that differ; their values have a table."""
    names = [one.condition for one in comparison.unlike]
    return (f"{', '.join(names)}: the values are in a table below.",) if names else ()


def _unlike_section(comparison: Comparison) -> Section:
    """Return the values of conditions that differ, with a column for each run."""
    letters = comparison.letters
    rows = []
    for one in comparison.unlike:
        values = {letter: value for value, own in one.values for letter in own}
        rows.append((one.condition, *(values.get(letter, "-") for letter in letters)))
    return Section("", ("condition", *letters), tuple(rows))


def _verdict(comparison: Comparison) -> Verdict:
    unlike = comparison.unlike
    if not unlike:
        return Verdict("good", "Comparable", "nothing that is recorded makes the runs unlike.")
    first = unlike[0].condition
    more = f" and {len(unlike) - 1} more conditions" if len(unlike) > 1 else ""
    return Verdict("unsure", "Not alike", f"the runs differ in {first}{more}.")


def _chart(comparison: Comparison, row: Row) -> Figure | None:
    """Return a figure of all runs as bars; None where it has none, or one below 0."""
    known = [
        (letter, number, value)
        for number, (letter, value) in enumerate(zip(comparison.letters, row.values, strict=True))
        if value is not None
    ]
    if not known or any(value < 0 for _, _, value in known):
        return None
    name = f"{case_title(row.case)}: {row.label}" if row.case else row.label
    title = name + (f" {UNLIKE_MARK}" if row.is_unlike else "")
    bars = [
        Bars(
            f"{letter}: {comparison.subjects[number].identity.partition(':')[0]}",
            [Amount(value, COLORS[number % len(COLORS)], cell_of(value, row.decimals))],
        )
        for letter, number, value in known
    ]
    words = "; ".join(f"{letter}: {cell_of(value, row.decimals)}" for letter, _, value in known)
    cells = tuple((letter, cell_of(value, row.decimals)) for letter, _, value in known)
    key = [KeyEntry(COLORS[number % len(COLORS)], letter) for letter, number, _ in known]
    return bar_chart(title, words, bars, key, Section(title, ("run", row.label), cells))


def _table(letters: list[str], rows: list[Row]) -> Section:
    cells = tuple(
        (
            f"{row.label} {UNLIKE_MARK if row.is_unlike else ''}".rstrip(),
            *(cell_of(value, row.decimals) for value in row.values),
        )
        for row in rows
    )
    return Section("", ("figure", *letters), cells)
