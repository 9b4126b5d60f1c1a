"""Report of a run: its metadata in tables that any format can render."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlpstorage_bench.history.descriptions import descriptions_of
from mlpstorage_bench.metric.declaration import Shown
from mlpstorage_bench.report.metric_cells import wide_cell
from mlpstorage_bench.units import GIB


@dataclass(frozen=True)
class Section:
    """Table with a title."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Report:
    """Content of a page, from top to bottom."""

    title: str
    notes: tuple[str, ...]
    sections: tuple[Section, ...]


def build_report(metadata: Mapping[str, Any]) -> Report:
    """Make a report of a run's metadata."""
    own = metadata["mlpstorage"]
    sections = [
        _results(metadata),
        _facts(metadata),
        _hosts(metadata["system_info"]),
        _parameters(metadata["parameters"]),
        Section(
            "Tests",
            ("test", "outcome", "seconds", "message"),
            tuple(
                (t["test"], t["outcome"], f"{t['duration_s']:.1f}", t["message"])
                for t in own["tests"]
            ),
        ),
    ]
    return Report(
        f"{metadata['benchmark_type']} run {own['run_id']}: {metadata['status']}",
        tuple(own["notes"]),
        tuple(section for section in sections if section.rows),
    )


def _results(metadata: Mapping[str, Any]) -> Section:
    metrics, names = metadata["metrics"], metadata["mlpstorage"]["cases"]
    cases = {name: metrics[name] for name in names if isinstance(metrics.get(name), Mapping)}
    if not cases:
        return Section("Results", ("case",), ())
    described = descriptions_of(metadata)
    rows = [("trials", *(str(values["trials"]) for values in cases.values()))]
    for one in described.values():
        if one.shown >= Shown.REPORT:
            cells = (wide_cell(one, values, described) for values in cases.values())
            rows.append((one.title, *cells))
    return Section("Results", ("metric", *cases), tuple(rows))


def _facts(metadata: Mapping[str, Any]) -> Section:
    own = metadata["mlpstorage"]
    facts = {
        "started": metadata["run_datetime"],
        "seconds": f"{metadata['runtime']:.1f}",
        "mode": own["mode"],
        "organisation, system": f"{own['orgname']}, {own['systemname']}",
        "ranks": metadata["num_processes"],
        "hosts": ", ".join(metadata["hosts"]),
        "command": metadata["executed_command"],
        "results": metadata["result_dir"],
        "system fingerprint": own["system_fingerprint"],
        "request stream, rank 0": next(iter(metadata["request_stream_sha256"]), "-"),
    }
    return Section("Run", ("fact", "value"), tuple((k, str(v)) for k, v in facts.items()))


def _hosts(system_info: Mapping[str, Any] | None) -> Section:
    header = ("host", "ranks", "CPU", "cores", "memory GiB", "kernel", "cache filesystem")
    rows = []
    for host in (system_info or {}).get("hosts", ()):
        filesystem = host["cache_filesystem"] or {}
        rows.append(
            (
                host["hostname"],
                str(len(host["ranks"])),
                str(host["cpu"]["model"]),
                str(host["cpu"]["num_logical_cores"]),
                f"{host['memory']['total'] / GIB:.0f}",
                host["system"]["kernel_version"],
                f"{filesystem.get('fstype')} on {filesystem.get('device')}",
            )
        )
    return Section("Hosts", header, tuple(rows))


def _parameters(parameters: Mapping[str, Any]) -> Section:
    workloads: Mapping[str, Mapping[str, Any]] = parameters.get("options", {})
    names = list(dict.fromkeys(name for one in workloads.values() for name in one))
    rows = [(name, *(str(one.get(name)) for one in workloads.values())) for name in names]
    return Section("Parameters", ("parameter", *workloads), tuple(rows))
