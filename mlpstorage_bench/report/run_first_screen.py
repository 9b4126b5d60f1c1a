"""First screen of a run's report: one picture, and what was measured."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from mlpstorage_bench.benchmark_type.figures import CaseFigures
from mlpstorage_bench.compare.subject import case_order
from mlpstorage_bench.history.cache_directories import of_metadata
from mlpstorage_bench.metric.declaration import Description
from mlpstorage_bench.metric.values import Values, number_of
from mlpstorage_bench.report.case_table import bandwidth_metrics, case_name
from mlpstorage_bench.report.charts.bar_chart import COLORS, Amount, Row, bar_chart
from mlpstorage_bench.report.charts.marks import Figure, KeyEntry
from mlpstorage_bench.report.metric_cells import ends_of, narrow_cell, text_of
from mlpstorage_bench.report.page import Fact
from mlpstorage_bench.report.tables import Section
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.units import counted, duration

MOST_CASES_IN_PICTURE = 12
_MOST_HOSTS = 8
_CHECKED = {"CLOSED": ", verified", "INVALID": ", INVALID"}
"""Outcome of the checks of a closed run, in words; an open run has none."""


def overview(values: Mapping[str, Values], described: Mapping[str, Description]) -> Figure | None:
    """Return the bandwidth of all cases, with its spread over trials; None without any."""
    metrics = bandwidth_metrics(described)
    shown = list(values.items())[:MOST_CASES_IN_PICTURE]
    rows = [
        Row(case_name(name), amounts) for name, one in shown if (amounts := _amounts(one, metrics))
    ]
    if not rows:
        return None
    key = [
        KeyEntry(color, metric.title.removesuffix(metric.unit.name).strip())
        for color, metric in zip(COLORS, metrics, strict=False)
    ]
    cells = tuple(
        (name, *(narrow_cell(metric, one, described) for metric in metrics)) for name, one in shown
    )
    words = "; ".join(
        f"{row.name}: {', '.join(f'{one.text}' for one in row.amounts)}" for row in rows
    )
    left = len(values) - len(shown)
    has_spread = any(one.low != one.high for row in rows for one in row.amounts)
    remarks = ["A line across a bar is the spread over trials."] if has_spread else []
    remarks += (
        [f"The first {len(shown)} of {len(values)} cases; all are in the results below."]
        if left
        else []
    )
    return bar_chart(
        "Bandwidth of each case",
        words,
        rows,
        key,
        Section("Bandwidth", ("case", *(one.title for one in metrics)), cells),
        remarks=remarks,
    )


def _amounts(values: Values, metrics: list[Description]) -> list[Amount]:
    amounts = []
    for number, metric in enumerate(metrics[: len(COLORS)]):
        value = number_of(values.get(metric.name))
        if value is not None:
            low, high = ends_of(metric, values) or (None, None)
            text = f"{text_of(metric.unit, value)} {metric.unit.name}"
            amounts.append(Amount(value, COLORS[number], text, low, high))
    return amounts


def simulated_cases(figures: Mapping[str, CaseFigures]) -> list[str]:
    """Return the cases for which no storage was used."""
    return sorted((name for name, one in figures.items() if one.was_simulated), key=case_order)


def findings_of(metadata: RunMetadata, figures: Mapping[str, CaseFigures]) -> tuple[str, ...]:
    """Return what the results say: first, that they are of no storage where that is so."""
    simulated = simulated_cases(figures)
    if not simulated:
        return metadata.own.conclusions
    sentence = (
        f"Simulated without storage: {', '.join(simulated)}. These figures are the demand of the "
        "workload, and no measurement."
    )
    return (sentence, *metadata.own.conclusions)


def measured(metadata: RunMetadata, figures: Mapping[str, CaseFigures]) -> Iterator[Fact]:
    """Yield what was measured, where, how and when."""
    own = metadata.own
    modes = sorted({mode for one in figures.values() for mode in one.io_modes})
    if modes:
        io = f"{' and '.join(modes)} I/O"
    elif simulated_cases(figures):
        io = "not used: the run was simulated"
    else:
        io = "direct or buffered: not recorded"
    storages: dict[str, list[str]] = {}
    for one in of_metadata(metadata):
        storages.setdefault(f"{one.path}: {one.storage}", []).append(one.host)
    for storage, hosts in list(storages.items())[:_MOST_HOSTS]:
        on = "" if len(storages) == 1 else f" (on {_some(hosts)})"
        yield Fact("Storage", f"{storage}, {io}{on}")
    if len(storages) > _MOST_HOSTS:
        yield Fact("Storage", f"and {len(storages) - _MOST_HOSTS} more; see the table of hosts")
    count = metadata.num_processes
    ranks = "unknown ranks" if count is None else counted(count, "rank")
    yield Fact("Load", f"{ranks} on {_some(metadata.hosts) or 'unnamed hosts'}")
    yield Fact("When", f"{metadata.started:%Y-%m-%d %H:%M:%S %z}{_length(metadata)}")
    yield Fact("Rules", f"{own.mode or '-'} mode{_CHECKED.get(metadata.verification or '', '')}")
    if own.run_id:
        again = shlex.join(["pytest", f"--mlps-history-rerun={own.run_id}"])
        yield Fact("Run it again", again)


def _length(metadata: RunMetadata) -> str:
    """Return how long a run took: its tests, where others of its session went on meanwhile.

    A test may be of several runs, of which each has ended before it; of a resumed run, its time is
    that of the last part.
    """
    own, runtime_s = metadata.own, metadata.runtime
    ran_cases = {case.test for case in own.cases.values() if case is not None}
    known = [
        one.duration_s for one in own.tests if one.test in ran_cases and one.duration_s is not None
    ]
    are_all = own.resumed is None and (runtime_s is None or sum(known) < runtime_s)
    if known and are_all:
        return f", its tests took {duration(sum(known))}"
    return "" if runtime_s is None else f", took {duration(runtime_s)}"


def _some(hosts: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(hosts) - _MOST_HOSTS} more" if len(hosts) > _MOST_HOSTS else ""
    return ", ".join(hosts[:_MOST_HOSTS]) + more
