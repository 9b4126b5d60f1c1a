"""One earlier run in full: its metadata as sections of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from mlpstorage_bench.history.descriptions import descriptions_of
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.history.reading import ALL_TRIALS
from mlpstorage_bench.metric.declaration import Description
from mlpstorage_bench.report.document import Section
from mlpstorage_bench.report.metric_cells import wide_cell
from mlpstorage_bench.report.results_table import as_lines
from mlpstorage_bench.units import TEXT

Number = tuple[str, str, int, str, str, float]
"""Case, test, trial, metric, unit, value."""


def run_lines(
    run: PastRun, metadata: Mapping[str, Any], numbers: Sequence[Number], width: int
) -> list[str]:
    """Return a run's sections as lines of this width in columns."""
    lines: list[str] = []
    for section in _sections(run, metadata, numbers):
        if section.rows:
            lines += ["", section.title, *as_lines(_table(section), width)]
    return lines[1:]


def _sections(
    run: PastRun, metadata: Mapping[str, Any], numbers: Sequence[Number]
) -> Iterator[Section]:
    own = metadata.get("mlpstorage") or {}
    yield Section(f"run {run.run_id}: {run.status}", ("", ""), tuple(_facts(run, metadata)))
    yield Section(
        "Tests",
        ("test", "outcome", "seconds", "message"),
        tuple(
            (str(t["test"]), str(t["outcome"]), f"{t['duration_s']:.1f}", str(t["message"]))
            for t in own.get("tests") or ()
        ),
    )
    described = descriptions_of(metadata)
    yield Section("Metrics", _METRICS_HEADER, tuple(_metrics(numbers, described)))
    yield Section("Verdicts", ("of", "verdict", ""), tuple(_verdicts(metadata, described)))
    yield Section("Hosts", _HOSTS_HEADER, tuple(_hosts(metadata)))
    yield Section("Parameters", ("parameter", "value"), tuple(_flat(metadata["parameters"])))
    yield Section(
        "Set by the user",
        ("parameter", "value"),
        tuple(_flat(metadata.get("override_parameters") or {})),
    )
    files = [*(metadata.get("command_output_files") or ()), run.path.name]
    yield Section(f"Files in {run.path.parent}", ("file",), tuple((str(name),) for name in files))


def _facts(run: PastRun, metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    own = metadata.get("mlpstorage") or {}
    facts = {
        "started": run.started.strftime("%Y-%m-%d %H:%M:%S %z"),
        "seconds": None if run.runtime_s is None else f"{run.runtime_s:.1f}",
        "type, model, command": f"{run.benchmark_type}, {run.model}, {run.command}",
        "mode": run.mode,
        "system": run.systemname,
        "ranks": f"{run.num_processes} on {run.num_hosts} hosts: {', '.join(run.hosts) or '-'}",
        "tags": ", ".join(run.tags) or None,
        "commit": run.commit and f"{run.commit} on {run.branch or 'no branch'}",
        "command line": metadata.get("executed_command"),
        "working directory": own.get("working_directory"),
        "exit status": own.get("exit_status"),
        "system fingerprint": run.system_fingerprint,
    }
    for name, value in facts.items():
        if value is not None:
            yield name, str(value)
    for case in run.cases:
        if case.workload_fingerprint is not None:
            yield f"workload fingerprint of {case.name}", case.workload_fingerprint
    for note in own.get("notes") or ():
        yield "note", str(note)


_ENDS = ("min", "max")
_METRICS_HEADER = ("case", "metric", "unit", "all trials", "least", "greatest", "spread", "trials")


def _metrics(
    numbers: Sequence[Number], described: Mapping[str, Description]
) -> Iterator[tuple[str, ...]]:
    """Yield a line for each metric; spread is (greatest - least) / mean of the trials."""
    by_metric: dict[tuple[str, str, str], dict[int, float]] = {}
    for case, _, trial, metric, unit, value in numbers:
        by_metric.setdefault((case, metric, unit), {})[trial] = value
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
    metadata: Mapping[str, Any], described: Mapping[str, Description]
) -> Iterator[tuple[str, str, str]]:
    """Yield each case's metrics with a verdict as text, then the gate's verdicts."""
    in_words = [one for one in described.values() if one.unit is TEXT and one.shown]
    for name, values in (metadata.get("metrics") or {}).items():
        if not isinstance(values, dict):
            continue
        for one in in_words:
            if values.get(one.name) is not None:
                reason = values.get(one.explained_by) or ""
                yield f"{name}: {one.title}", wide_cell(one, values, described), str(reason)
    for verdict in (metadata.get("mlpstorage") or {}).get("verdicts") or ():
        if isinstance(verdict, dict):
            rest = {k: v for k, v in verdict.items() if k not in ("case", "metric", "verdict")}
            of = ": ".join(str(verdict[k]) for k in ("case", "metric") if k in verdict)
            details = ", ".join(f"{name} {value}" for name, value in rest.items())
            yield of, str(verdict.get("verdict", "-")), details


_HOSTS_HEADER = ("host", "ranks", "CPU", "cores", "memory GiB", "kernel", "cache on")


def _hosts(metadata: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for host in (metadata.get("system_info") or {}).get("hosts") or ():
        cpu, memory = host.get("cpu") or {}, (host.get("memory") or {}).get("total")
        cache = host.get("cache_filesystem") or {}
        yield (
            str(host.get("hostname", "-")),
            " ".join(str(rank) for rank in host.get("ranks") or ()) or "-",
            str(cpu.get("model") or "-"),
            str(cpu.get("num_logical_cores") or cpu.get("num_cores") or "-"),
            "-" if memory is None else f"{memory / (1 << 30):.1f}",
            str((host.get("system") or {}).get("kernel_version") or "-"),
            " ".join(str(cache[k]) for k in ("fstype", "device", "model") if cache.get(k)) or "-",
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested values with their dotted path."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            yield f"{prefix}{name}", text


def _shown(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.4g}"


def _table(section: Section) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=any(section.header))
    for title in section.header:
        table.add_column(title, overflow="fold")
    for row in section.rows:
        table.add_row(*row)
    return table
