"""Report of a history: how each figure went over the runs, and with which runs it changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

from mlpstorage_bench.compare.subject import case_order
from mlpstorage_bench.gate.change_points import LEAST_RUNS
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.descriptions import descriptions_of
from mlpstorage_bench.history.past_run import PastRun, newest_measured
from mlpstorage_bench.history.reading import NoRunError, read_metadata
from mlpstorage_bench.metric.declaration import Description
from mlpstorage_bench.report.case_table import case_name, case_title
from mlpstorage_bench.report.charts.scale import number_text, percent_text
from mlpstorage_bench.report.page import Block, Fact, Page, Tile, Verdict
from mlpstorage_bench.report.tables import MOST_ROWS, Section
from mlpstorage_bench.report.trend_figures import sparkline, trend_figures
from mlpstorage_bench.report.trends import Trend, most_comparable, points_of
from mlpstorage_bench.units import counted

MOST_FIGURES = 60
"""Figures on a page."""
_MOST_WITH_VERDICTS = 60
"""Newest runs whose verdicts on single metrics are read."""
_NO_LOSS = ("passed", "improved")
_MOST_TILES = 6
_MOST_FINDINGS = 3

_Verdicts = Mapping[tuple[str, str], Mapping[str, str]]
"""The gate's verdicts by case and metric, then by run."""


def build_history_report(history: History, runs: Sequence[PastRun]) -> Page:
    """Make a report of runs, which are in order of time."""
    trends = trends_of(history, runs)
    verdicts = _verdicts(runs)
    drawn = [trend for trend in trends if len(trend.points) > 1]
    figures = trend_figures(drawn[:MOST_FIGURES], verdicts)
    left = len(drawn) - len(figures)
    blocks = (
        Block("Changes", (_changes_section(trends),)),
        Block(
            "Over time",
            figures=figures[1:],
            notes=(f"{left} more figures are not drawn.",) if left else (),
        ),
        Block("Runs", (_runs_section(history, runs),)),
    )
    counts = Counter(run.status for run in runs)
    states = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    return Page(
        title=f"History of {counted(len(runs), 'run')}",
        verdict=_verdict(runs, trends),
        tiles_title="Newest figures against the median of those before" if trends else "",
        tiles=tuple(_tile(trend) for trend in trends[:_MOST_TILES]),
        picture=figures[0] if figures else None,
        findings_title="Changes",
        findings=tuple(_findings(trends)),
        facts_title="What was compared",
        facts=tuple(_facts(runs, states)),
        sparklines=tuple(sparklines_of(trends)),
        blocks=tuple(block for block in blocks if not block.is_empty),
    )


def trends_of(history: History, runs: Sequence[PastRun]) -> list[Trend]:
    """Return the metrics that lists show, of each case of runs that ended as tests passed."""
    complete = [run for run in runs if run.is_complete]
    listed = _listed(history, complete)
    cases = sorted({case.name for run in complete for case in run.cases}, key=case_order)
    trends = [
        Trend(case, metric, points)
        for case in cases
        for metric in listed
        if (points := points_of(history, complete, case, metric.name))
    ]
    return sorted(trends, key=lambda trend: not trend.changes)


def _listed(history: History, runs: Sequence[PastRun]) -> list[Description]:
    """Return the metrics that lists show, as the newest run describes them where it does.

    The index has names, titles and units alone.
    """
    known: Mapping[str, Description] = {}
    if runs:
        with suppress(NoRunError):  # removed or replaced since the history was read
            known = descriptions_of(read_metadata(runs[-1].path))
    return [known.get(metric.name, metric) for metric in history.listed()]


def sparklines_of(trends: Sequence[Trend]) -> list[Fact]:
    """Return a line of characters for each trend of several runs."""
    return [
        Fact(
            f"{case_title(trend.case)}, {trend.metric.title}, {len(trend.points)} comparable runs"
            if trend.is_one_series
            else f"{case_title(trend.case)}, {trend.metric.title}, {len(trend.points)} runs",
            f"{sparkline(trend.points)} {trend.metric.unit.text(trend.points[-1].value)}",
        )
        for trend in trends
        if len(trend.points) > 1
    ]


def _verdict(runs: Sequence[PastRun], trends: Sequence[Trend]) -> Verdict:
    last = newest_measured(runs)
    if last is None:
        return Verdict("unsure", "No runs", "nothing matches.")
    if not last.is_complete:
        return Verdict("bad", "The last run has no result", f"{last.run_id} {last.status}.")
    if last.gate_verdict == "regressed":
        return Verdict("bad", "Worse", f"the gate found a loss in the last run, {last.run_id}.")
    newest = [(trend, trend.changes[-1]) for trend in trends if trend.changes]
    lost = [
        f"{case_name(trend.case)}, {trend.metric.title}: {percent_text(change.share)} since run "
        f"{change.point.run_id}"
        for trend, change in newest
        if trend.is_worse(change)
    ]
    if lost:
        more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
        return Verdict("unsure", "Worse than before", f"{lost[0]}{more}.")
    if last.status == "failed":
        return Verdict("bad", "Failed", f"the last run, {last.run_id}, failed.")
    return Verdict(
        "good", "Passed", f"the last run, {last.run_id}, passed; {_compared(last, trends)}."
    )


def _compared(last: PastRun, trends: Sequence[Trend]) -> str:
    """Return what is known of losses in the last run, in which none was found."""
    if last.gate_verdict in _NO_LOSS:
        return "the gate found no loss"
    most = most_comparable([one for one in trends if one.points[-1].run_id == last.run_id])
    if most >= LEAST_RUNS:
        return "no loss was found"
    if most > 1:
        return "there are too few comparable runs to look for a loss"
    return "there is nothing to compare it with yet"


def _findings(trends: Sequence[Trend]) -> list[str]:
    """Return the newest changes in sentences."""
    changed = [(trend, one) for trend in trends for one in trend.changes]
    newest = sorted(changed, key=lambda two: two[1].point.started)[-_MOST_FINDINGS:]
    if trends and not newest:
        most = most_comparable(trends)
        if most >= LEAST_RUNS:
            return ["No change was found."]
        return [f"Changes are looked for from {LEAST_RUNS} comparable runs on; so far: {most}."]
    return [
        f"{case_title(trend.case)}, {trend.metric.title}: {percent_text(one.share)} with run "
        f"{one.point.run_id}."
        for trend, one in newest
    ]


def _tile(trend: Trend) -> Tile:
    unit = trend.metric.unit
    last = trend.points[-1]
    before = sorted(one.value for one in trend.points[:-1] if one.series == last.series)
    beside = "no comparable run before"
    if before:
        middle = before[len(before) // 2]
        change = f"{percent_text(last.value / middle - 1)} from " if middle else ""
        beside = f"{change}{number_text(middle)}, {counted(len(before), 'run')}"
    label = f"{trend.case}: {trend.metric.title.removesuffix(unit.name).strip()}"
    return Tile(label, unit.text(last.value), unit.name if unit.kind == "number" else "", beside)


def _facts(runs: Sequence[PastRun], states: str) -> list[Fact]:
    if not runs:
        return []
    systems = {run.systemname or "-" for run in runs}
    storages = {f"{one.path}: {one.storage}" for run in runs for one in run.cache_directories}
    return [
        Fact("Runs", states),
        Fact("From", f"{runs[0].started:%Y-%m-%d %H:%M}"),
        Fact("To", f"{runs[-1].started:%Y-%m-%d %H:%M}"),
        Fact("Systems", ", ".join(sorted(systems)[:8])),
        *(Fact("Storage", storage) for storage in sorted(storages)[:4]),
    ]


def _changes_section(trends: Sequence[Trend]) -> Section:
    rows = tuple(
        (
            trend.case,
            trend.metric.title,
            one.point.run_id,
            f"{one.point.started:%Y-%m-%d %H:%M}",
            trend.metric.unit.text(one.before),
            trend.metric.unit.text(one.after),
            f"{one.share:+.1%}",
            "worse" if trend.is_worse(one) else "better",
        )
        for trend in trends
        for one in reversed(trend.changes)
    )
    header = ("case", "figure", "first run", "started", "median before", "after", "change", "")
    return Section("", header, rows)


def _runs_section(history: History, runs: Sequence[PastRun]) -> Section:
    listed = history.listed()
    cases = sorted({case.name for run in runs for case in run.cases}, key=case_order)[:3]
    titles = [f"{case}: {metric.title}" for case in cases for metric in listed]
    rows = []
    for run in reversed(runs[-MOST_ROWS:]):
        known = {case.name: case.listed for case in run.cases}
        values = (
            metric.unit.text(known.get(case, {}).get(metric.name))
            for case in cases
            for metric in listed
        )
        rows.append(
            (
                run.run_id,
                f"{run.started:%Y-%m-%d %H:%M}",
                run.status,
                run.gate_verdict or "-",
                run.systemname or "-",
                " ".join(run.tags) or "-",
                *values,
            )
        )
    header = ("run", "started", "status", "gate", "system", "tags", *titles)
    return Section("", header, tuple(rows))


def _verdicts(runs: Sequence[PastRun]) -> _Verdicts:
    """Return the gate's verdicts on metrics of the newest runs that it judged."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    judged = [run for run in runs if run.gate_verdict is not None]
    for run in judged[-_MOST_WITH_VERDICTS:]:
        try:
            metadata = read_metadata(run.path)
        except NoRunError:  # removed or replaced since the history was read
            continue
        for one in metadata.own.verdicts:
            found.setdefault((one.case, one.metric), {})[run.run_id] = one.verdict
    return found
