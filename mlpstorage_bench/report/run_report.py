"""Report of one run: the outcome first, then its cases in figures, then every fact."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mlpstorage_bench.benchmark_type.figures import CaseFigures
from mlpstorage_bench.compare.subject import case_order
from mlpstorage_bench.history.descriptions import descriptions_of
from mlpstorage_bench.metric.declaration import Description, Shown
from mlpstorage_bench.metric.values import Values
from mlpstorage_bench.report.case_charts import (
    latency_chart,
    level_chart,
    rank_charts,
    share_charts,
)
from mlpstorage_bench.report.case_table import (
    case_title,
    headline_case,
    results_table,
    tiles_of,
)
from mlpstorage_bench.report.charts.marks import Figure
from mlpstorage_bench.report.history_report import sparklines_of
from mlpstorage_bench.report.note_lines import grouped
from mlpstorage_bench.report.page import Block, Page
from mlpstorage_bench.report.run_first_screen import findings_of, measured, overview
from mlpstorage_bench.report.run_sections import (
    all_parameters_section,
    changed_section,
    checks_section,
    gate_section,
    hosts_section,
    objectives_section,
    plugins_section,
    set_section,
    tests_section,
)
from mlpstorage_bench.report.run_verdict import run_verdict
from mlpstorage_bench.report.sweep_charts import sweep_charts, sweeps_of
from mlpstorage_bench.report.tables import Section
from mlpstorage_bench.report.time_charts import time_charts
from mlpstorage_bench.report.trend_figures import trend_figures
from mlpstorage_bench.report.trends import Trend
from mlpstorage_bench.results.metadata_parts import TrialFacts
from mlpstorage_bench.results.run_metadata import RunMetadata

MOST_CASES_WITH_FIGURES = 24
"""Cases that have figures: a page of more would exceed 2 MB."""
_MOST_SPARKLINES = 6
_MOST_TRENDS = 12
_MOST_RANKS_OVER_TIME = 8


@dataclass(frozen=True)
class RunFigures:
    """Figures of a run's cases beyond its metadata."""

    cases: Mapping[str, CaseFigures] = field(default_factory=dict)
    problem: str = ""
    """The reason why there are none; '' if they are complete."""


NO_FIGURES = RunFigures()


def build_report(
    metadata: RunMetadata, figures: RunFigures = NO_FIGURES, trends: Sequence[Trend] = ()
) -> Page:
    """Make a report of a run; `trends` are its figures over the comparable runs until it."""
    own = metadata.own
    described = descriptions_of(metadata)
    own_values = metadata.values_by_case
    names = list(metadata.cases) or sorted(own_values, key=case_order)
    ran = {name: own_values.get(name) for name in names}
    values = {name: one for name, one in ran.items() if one is not None}
    first = headline_case(values, described, own.planned_cases)
    interrupted = metadata.interrupted_cases
    blocks = (
        Block("Verdicts of the gate", (gate_section(metadata),)),
        Block("Objectives", (objectives_section(metadata),)),
        Block(
            "Results",
            (results_table("", ran, described, figures.cases, Shown.HEADLINE, interrupted),),
        ),
        *_sweep_blocks(values, described, figures),
        *_case_blocks(metadata, figures, first),
        _history_block(trends),
        Block("Parameters", (set_section(metadata), changed_section(metadata))),
        Block(
            "All figures of the cases",
            (results_table("", ran, described, figures.cases, Shown.REPORT, interrupted),),
            is_folded=True,
        ),
        Block("All parameters", (all_parameters_section(metadata, figures.cases),), is_folded=True),
        Block("Run", (_facts_section(metadata), plugins_section(metadata)), is_folded=True),
        Block(
            "Hosts and their checks",
            (hosts_section(metadata), checks_section(metadata)),
            is_folded=True,
        ),
        Block("Tests", (tests_section(metadata),), is_folded=True),
    )
    return Page(
        title=f"{metadata.benchmark_type} run {own.run_id or '-'}",
        verdict=run_verdict(metadata),
        tiles_title="" if first is None else _headline(first, metadata, figures, len(values)),
        tiles=() if first is None else tiles_of(values[first], described, figures.cases.get(first)),
        picture=overview(values, described),
        findings_title="What the results say",
        findings=findings_of(metadata, figures.cases),
        facts=tuple(measured(metadata, figures.cases)),
        sparklines=tuple(sparklines_of(trends)[:_MOST_SPARKLINES]),
        notes=tuple(grouped([*own.notes, *([figures.problem] if figures.problem else [])])),
        blocks=tuple(block for block in blocks if not block.is_empty),
    )


def _history_block(trends: Sequence[Trend]) -> Block:
    """Return the charts of the comparable runs until this one."""
    charts = trend_figures(trends[:_MOST_TRENDS], {})
    return Block("This run after the comparable ones before it", figures=charts, is_folded=True)


def _case_name(case: str, figures: RunFigures) -> str:
    known = figures.cases.get(case)
    title = f": {known.title}" if known is not None and known.title else ""
    return f"{case_title(case)}{title}"


def _headline(case: str, metadata: RunMetadata, figures: RunFigures, count: int) -> str:
    """Return the title of the headline figures, with the reason why they are those of this case."""
    is_planned = case in metadata.own.planned_cases
    why = "the first of the profile" if is_planned else "highest read + write"
    reason = f", {why} among {count} cases" if count > 1 else ""
    return f"{_case_name(case, figures)}{reason}"


def _sweep_blocks(
    values: Mapping[str, Values], described: Mapping[str, Description], figures: RunFigures
) -> Iterator[Block]:
    """Yield a block of curves for each parameter in which cases differ alone."""
    for sweep in sweeps_of(figures.cases):
        charts = tuple(sweep_charts(sweep, values, described))
        if charts:
            cases = ", ".join(case for _, case in sweep.cases)
            note = f"Cases {cases} differ in {sweep.parameter} alone."
            yield Block(f"Curves over {sweep.parameter}", figures=charts, notes=(note,))


def _case_blocks(metadata: RunMetadata, figures: RunFigures, first: str | None) -> Iterator[Block]:
    """Yield a block of figures for each case, that of the headline figures first and unfolded."""
    names = sorted(metadata.cases, key=lambda name: name != first)
    for name in names[:MOST_CASES_WITH_FIGURES]:
        charts = tuple(_charts(metadata, name, figures.cases.get(name)))
        if charts:
            yield Block(
                _case_name(name, figures),
                figures=charts,
                on_demand_title="Bandwidth of each rank over time",
                on_demand=tuple(_rank_series(figures.cases.get(name))) if name == first else (),
                is_folded=name != first,
            )
    left = len(names[MOST_CASES_WITH_FIGURES:])
    if left:
        note = f"{left} more cases have no figures here; their numbers are in the tables."
        yield Block("More cases", notes=(note,))


def _rank_series(figures: CaseFigures | None) -> Iterator[Figure]:
    """Yield the bandwidth over time of ranks: of many, of the slowest and the fastest."""
    ranks = [] if figures is None else [one for one in figures.ranks if one.trials]
    if len(ranks) > _MOST_RANKS_OVER_TIME:
        ranks.sort(key=lambda one: one.reading_gib_s + one.writing_gib_s)
        half = _MOST_RANKS_OVER_TIME // 2
        ranks = [*ranks[:half], *ranks[-half:]]
    for one in ranks if len(ranks) > 1 else ():
        trials = [TrialFacts(trial=n, metrics={}, time_series=own) for n, own in one.trials]
        for chart in itertools.islice(time_charts(trials), 1):
            yield replace(chart, title=f"Rank {one.rank} on {one.host}: {chart.title}")


def _charts(metadata: RunMetadata, name: str, figures: CaseFigures | None) -> Iterator[Figure]:
    trials = metadata.cases[name].trials
    if figures is not None:
        latency = latency_chart(figures)
        yield from () if latency is None else (latency,)
    yield from time_charts(trials)
    if figures is not None:
        level = level_chart(figures)
        yield from () if level is None else (level,)
        yield from share_charts(figures)
        stragglers = dict.fromkeys(
            one
            for trial in trials
            if trial.conditions is not None
            for one in trial.conditions.stragglers
        )
        yield from rank_charts(figures, list(stragglers))


def _facts_section(metadata: RunMetadata) -> Section:
    own = metadata.own
    facts = {
        "started": own.start_datetime or metadata.run_datetime,
        "seconds": None if metadata.runtime is None else f"{metadata.runtime:.1f}",
        "status": own.status,
        "verification": metadata.verification,
        **{f"INVALID because ({n})": why for n, why in enumerate(own.not_valid_because, 1)},
        "organisation, system": f"{own.orgname or '-'}, {own.systemname or '-'}",
        "tags": ", ".join(own.tags) or None,
        "command": metadata.executed_command,
        "results": metadata.result_dir,
        "system fingerprint": own.system_fingerprint,
        "request stream, rank 0": next(iter(own.request_stream_sha256), None),
    }
    rows = ((name, "-" if value is None else str(value)) for name, value in facts.items())
    return Section("Run", ("fact", "value"), tuple(rows))
