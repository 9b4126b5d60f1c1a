"""One earlier run in full: its metadata as sections of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.table import Table

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.history.descriptions import descriptions_of
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.history.queries import Number
from mlpstorage_bench.history.reading import ALL_TRIALS
from mlpstorage_bench.metric.declaration import Description
from mlpstorage_bench.report.metric_cells import wide_cell
from mlpstorage_bench.report.results_table import as_lines
from mlpstorage_bench.report.run_sections import (
    checks_section,
    hosts_section,
    objectives_section,
    plugins_section,
    tests_section,
)
from mlpstorage_bench.report.tables import Section
from mlpstorage_bench.results.metadata_parts import CommandOutput
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.units import TEXT, counted


def run_lines(
    run: PastRun, metadata: RunMetadata, numbers: Sequence[Number], width: int
) -> list[str]:
    """Return a run's sections as lines of this width in columns."""
    lines: list[str] = []
    for section in _sections(run, metadata, numbers):
        if section.rows:
            lines += ["", for_terminal(section.title), *as_lines(_table(section), width)]
    return lines[1:]


def _sections(run: PastRun, metadata: RunMetadata, numbers: Sequence[Number]) -> Iterator[Section]:
    yield Section(f"run {run.run_id}: {run.status}", ("", ""), tuple(_facts(run, metadata)))
    yield tests_section(metadata)
    described = descriptions_of(metadata)
    yield Section("Metrics", _METRICS_HEADER, tuple(_metrics(numbers, described)))
    yield objectives_section(metadata)
    yield Section("Verdicts", ("of", "verdict", ""), tuple(_verdicts(metadata, described)))
    yield hosts_section(metadata)
    yield checks_section(metadata)
    yield Section("Parameters", ("parameter", "value"), tuple(_flat(metadata.effective_parameters)))
    given = tuple(_flat(metadata.settings_by_user))
    yield plugins_section(metadata)
    yield Section("Set by the user", ("setting", "value"), given)
    files = [*_files(metadata), run.path.name]
    yield Section(f"Files in {run.path.parent}", ("file",), tuple((name,) for name in files))


def _files(metadata: RunMetadata) -> Iterator[str]:
    """Yield the run's files; the reference names its logs by command."""
    yield from metadata.own.files
    for one in metadata.command_output_files:
        if isinstance(one, CommandOutput):
            yield from filter(None, (one.stdout, one.stderr))
        else:
            yield one


def _facts(run: PastRun, metadata: RunMetadata) -> Iterator[tuple[str, str]]:
    own = metadata.own
    facts = {
        "started": run.started.strftime("%Y-%m-%d %H:%M:%S %z"),
        "seconds": None if run.runtime_s is None else f"{run.runtime_s:.1f}",
        "type, model, command": f"{run.benchmark_type}, {run.model}, {run.command}",
        "mode": run.mode,
        "verification": metadata.verification or ("null" if run.is_of_reference else None),
        "system": run.systemname,
        "ranks": (
            f"{run.ranks} on {counted(run.num_hosts, 'host')}: {', '.join(run.hosts) or '-'}"
        ),
        "tags": ", ".join(run.tags) or None,
        "commit": run.commit and f"{run.commit} on {run.branch or 'no branch'}",
        "command line": metadata.executed_command,
        "working directory": own.working_directory,
        "exit status": own.exit_status,
        "system fingerprint": run.system_fingerprint,
    }
    for name, value in facts.items():
        if value is not None:
            yield name, str(value)
    for case in run.cases:
        if case.workload_fingerprint is not None:
            yield f"workload fingerprint of {case.name}", case.workload_fingerprint
    for reason in own.not_valid_because:
        yield "INVALID because", reason
    for note in own.notes:
        yield "note", note


_ENDS = ("min", "max")
_MOST_WHOLE = 1e15
"""Least whole number that is not shown with all its digits."""
_METRICS_HEADER = ("case", "metric", "unit", "all trials", "least", "greatest", "spread", "trials")


def _metrics(
    numbers: Sequence[Number], described: Mapping[str, Description]
) -> Iterator[tuple[str, ...]]:
    """Yield a line for each metric; spread is (greatest - least) / mean of the trials."""
    by_metric: dict[tuple[str, str, str], dict[int, float]] = {}
    for one in numbers:
        by_metric.setdefault((one.case, one.metric, one.unit), {})[one.trial] = one.value
    shown_beside_mean = {
        f"{one.name}_{end}" for one in described.values() if one.has_spread for end in _ENDS
    }
    for (case, metric, unit), values in by_metric.items():
        if metric in shown_beside_mean:
            continue
        trials = [value for trial, value in values.items() if trial != ALL_TRIALS]
        pooled = values.get(ALL_TRIALS)
        row = [case, metric, unit, "-" if pooled is None else _shown(pooled)]
        if trials:
            mean = sum(trials) / len(trials)
            spread = f"{(max(trials) - min(trials)) / mean:.1%}" if mean else "-"
            row += [_shown(min(trials)), _shown(max(trials)), spread, str(len(trials))]
        else:
            row += ["-", "-", "-", "-"]
        yield tuple(row)


def _verdicts(
    metadata: RunMetadata, described: Mapping[str, Description]
) -> Iterator[tuple[str, str, str]]:
    """Yield each case's metrics with a verdict as text, then the gate's verdicts."""
    in_words = [one for one in described.values() if one.unit is TEXT and one.shown]
    for name, values in metadata.values_by_case.items():
        for one in in_words:
            if values.get(one.name) is not None:
                reason = values.get(one.explained_by) or ""
                yield f"{name}: {one.title}", wide_cell(one, values, described), str(reason)
    for verdict in metadata.own.verdicts:
        of = ": ".join(filter(None, (verdict.case, verdict.metric)))
        change = "" if verdict.reason.startswith(verdict.change) else verdict.change
        rule = f"rule {verdict.rule}" if verdict.rule else ""
        yield of, verdict.verdict, "; ".join(filter(None, (change, verdict.reason, rule)))
    for unused in metadata.own.gate.unused_rules:
        yield "gate", "judges nothing", f"{unused.reason}; rule {unused.rule}"
    for left in metadata.own.gate.not_judged:
        yield f"{left.case}: {left.metric}", "not judged", f"{left.reason}; rule {left.rule}"


def _flat(values: Json, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested values with their dotted path."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            yield f"{prefix}{name}", text


def _shown(value: float) -> str:
    is_whole = abs(value) < _MOST_WHOLE and value == int(value)
    return f"{value:.0f}" if is_whole else f"{value:.4g}"


def _table(section: Section) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=any(section.header))
    for title in section.header:
        table.add_column(for_terminal(title), overflow="fold")
    for row in section.rows:
        table.add_row(*map(for_terminal, row))
    return table
