"""A run's report: what its metadata says, in tables that any format can render."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlpstorage_bench.units import GIB


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


_SPREAD = (
    ("requests/s", "requests_per_s", "{:.1f}"),
    ("read GiB/s", "read_gib_s", "{:.3f}"),
    ("write GiB/s", "write_gib_s", "{:.3f}"),
)
"""Title, metric and format of those that are shown as mean [least … greatest] over trials."""
_SINGLE = (
    ("read p50 ms", "read_p50_ms", "{:.2f}"),
    ("read p95 ms", "read_p95_ms", "{:.2f}"),
    ("read p99 ms", "read_p99_ms", "{:.2f}"),
    ("write p50 ms", "write_p50_ms", "{:.2f}"),
    ("write p95 ms", "write_p95_ms", "{:.2f}"),
    ("write p99 ms", "write_p99_ms", "{:.2f}"),
    ("request p95 ms", "request_p95_ms", "{:.2f}"),
    ("queue wait p95 ms", "queue_wait_p95_ms", "{:.2f}"),
    ("requests", "requests", "{}"),
    ("hit rate", "hit_rate", "{:.1%}"),
    ("windows opened within ms", "window_open_spread_ms", "{:.3f}"),
    ("windows closed within ms", "window_close_spread_ms", "{:.3f}"),
    ("clocks known within ms", "clock_uncertainty_ms", "{:.3f}"),
    ("operations under way at the start", "carried_in_operations", "{}"),
    ("at the end", "cut_off_operations", "{}"),
    ("requests under way at the start", "carried_in_requests", "{}"),
    ("at the end", "cut_off_requests", "{}"),
    ("chunks verified", "verified_reads", "{}"),
    ("reads corrupt", "corrupt_reads", "{}"),
    ("CPU s/GiB", "cpu_s_per_gib", "{:.3f}"),
    ("audit ratio", "audit_ratio", "{:.4f}"),
    ("audit", "audit_verdict", "{}"),
    ("host audit ratio", "host_audit_ratio", "{:.4f}"),
    ("host audit", "host_audit_verdict", "{}"),
    ("measured / ceiling", "ceiling_ratio", "{:.3f}"),
    ("bound", "bound", "{}"),
    ("peak memory bytes", "peak_rss_bytes", "{}"),
)


def _results(metrics: Mapping[str, Any]) -> Section:
    cases = {
        name: values
        for name, values in metrics.items()
        if isinstance(values, Mapping) and "read_gib_s" in values
    }
    if not cases:
        return Section("Results", ("case",), ())
    rows = [("trials", *(str(values["trials"]) for values in cases.values()))]
    for title, name, form in _SPREAD:
        rows.append((title, *(_with_spread(values, name, form) for values in cases.values())))
    for title, name, form in _SINGLE:
        rows.append((title, *(_shown(values.get(name), form) for values in cases.values())))
    return Section("Results", ("metric", *cases), tuple(rows))


def _with_spread(values: Mapping[str, Any], name: str, form: str) -> str:
    low, high = form.format(values[f"{name}_min"]), form.format(values[f"{name}_max"])
    return f"{form.format(values[name])} [{low} … {high}]"


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


def _shown(value: float | str | None, form: str) -> str:
    return "-" if value is None else form.format(value)
