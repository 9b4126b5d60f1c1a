"""A run's report: what its metadata says, in tables that any format can render."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GIB = 1 << 30


@dataclass(frozen=True)
class Section:
    """A titled table."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Report:
    """What a page shows, from top to bottom."""

    title: str
    notes: tuple[str, ...]
    sections: tuple[Section, ...]


def build_report(metadata: Mapping[str, Any]) -> Report:
    """Make a report of a run's metadata."""
    own = metadata["mlpstorage"]
    sections = [
        _results(metadata["metrics"]),
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


_COLUMNS = (
    ("requests/s", "requests_per_s", "{:.1f}"),
    ("read GiB/s", "read_gib_s", "{:.3f}"),
    ("write GiB/s", "write_gib_s", "{:.3f}"),
)
_SINGLE = (
    ("read p50 ms", "read_p50_ms", "{:.2f}"),
    ("read p95 ms", "read_p95_ms", "{:.2f}"),
    ("read p99 ms", "read_p99_ms", "{:.2f}"),
    ("write p95 ms", "write_p95_ms", "{:.2f}"),
    ("request p95 ms", "request_p95_ms", "{:.2f}"),
    ("hit rate", "hit_rate", "{:.1%}"),
    ("audit ratio", "audit_ratio", "{:.3f}"),
    ("CPU s/GiB", "cpu_s_per_gib", "{:.3f}"),
)


def _results(metrics: Mapping[str, Any]) -> Section:
    header = ["case", "trials"]
    for title, _, _ in _COLUMNS:
        header += [title, "least … greatest"]
    header += [title for title, _, _ in _SINGLE] + ["audit"]
    rows = []
    for case, values in metrics.items():
        if not isinstance(values, Mapping) or "read_gib_s" not in values:
            continue
        row = [case, str(values["trials"])]
        for _, name, form in _COLUMNS:
            low, high = values[f"{name}_min"], values[f"{name}_max"]
            row += [_shown(values[name], form), f"{form.format(low)} … {form.format(high)}"]
        row += [_shown(values[name], form) for _, name, form in _SINGLE]
        rows.append((*row, str(values["audit_verdict"])))
    return Section("Results", tuple(header), tuple(rows))


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
    options: Mapping[str, Mapping[str, Any]] = parameters.get("options", {})
    names = list(dict.fromkeys(name for option in options.values() for name in option))
    rows = [(name, *(str(option.get(name)) for option in options.values())) for name in names]
    return Section("Parameters", ("parameter", *options), tuple(rows))


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
