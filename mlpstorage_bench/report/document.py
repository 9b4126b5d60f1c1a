"""Report of a run: its metadata in tables that any format can render."""

from __future__ import annotations

from dataclasses import dataclass

from mlpstorage_bench.history.cache_directories import of_metadata
from mlpstorage_bench.history.descriptions import descriptions_of
from mlpstorage_bench.metric.declaration import Shown
from mlpstorage_bench.report.integrity_table import check_rows
from mlpstorage_bench.report.metric_cells import wide_cell
from mlpstorage_bench.results.metadata_parts import HostFacts
from mlpstorage_bench.results.run_metadata import RunMetadata
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


def build_report(metadata: RunMetadata) -> Report:
    """Make a report of a run's metadata."""
    own = metadata.own
    sections = [
        _results(metadata),
        objectives_section(metadata),
        _facts(metadata),
        hosts_section(metadata),
        checks_section(metadata),
        _parameters(metadata),
        tests_section(metadata),
    ]
    return Report(
        f"{metadata.benchmark_type} run {own.run_id or '-'}: {own.status}",
        own.notes,
        tuple(section for section in sections if section.rows),
    )


def _results(metadata: RunMetadata) -> Section:
    values_by_case = metadata.values_by_case
    cases = {name: values_by_case[name] for name in metadata.cases if name in values_by_case}
    if not cases:
        return Section("Results", ("case",), ())
    described = descriptions_of(metadata)
    rows = [("trials", *(str(values.get("trials", "-")) for values in cases.values()))]
    for one in described.values():
        if one.shown >= Shown.REPORT:
            cells = (wide_cell(one, values, described) for values in cases.values())
            rows.append((one.title, *cells))
    return Section("Results", ("metric", *cases), tuple(rows))


def objectives_section(metadata: RunMetadata) -> Section:
    """Return the objectives of a run's cases, with what was measured."""
    header = ("case", "objective", "measured", "accepted", "samples", "")
    rows = tuple(
        (
            name,
            f"{one.objective} {one.percentile.removesuffix('_ms')}",
            "-" if one.seen_ms is None else f"{one.seen_ms:.3g} ms",
            f"at most {one.limit_ms:.10g} ms",
            f"{one.samples} {one.of}",
            "met" if one.is_met else "missed",
        )
        for name, case in metadata.cases.items()
        for one in case.objectives
    )
    return Section("Objectives", header, rows)


def _facts(metadata: RunMetadata) -> Section:
    own = metadata.own
    facts = {
        "started": own.start_datetime or metadata.run_datetime,
        "seconds": None if metadata.runtime is None else f"{metadata.runtime:.1f}",
        "mode": own.mode,
        "verification": metadata.verification,
        **{f"INVALID because ({n})": why for n, why in enumerate(own.not_valid_because, 1)},
        "organisation, system": f"{own.orgname or '-'}, {own.systemname or '-'}",
        "ranks": metadata.num_processes,
        "hosts": ", ".join(metadata.hosts),
        **{f"storage of {one.host}": f"{one.path}: {one.storage}" for one in of_metadata(metadata)},
        "command": metadata.executed_command,
        "results": metadata.result_dir,
        "system fingerprint": own.system_fingerprint,
        "request stream, rank 0": next(iter(own.request_stream_sha256), None),
    }
    rows = ((name, "-" if value is None else str(value)) for name, value in facts.items())
    return Section("Run", ("fact", "value"), tuple(rows))


def tests_section(metadata: RunMetadata) -> Section:
    """Return the tests of a run with their outcomes."""
    rows = (
        (
            test.test,
            test.outcome,
            "-" if test.duration_s is None else f"{test.duration_s:.1f}",
            test.message,
        )
        for test in metadata.own.tests
    )
    return Section("Tests", ("test", "outcome", "seconds", "message"), tuple(rows))


def hosts_section(metadata: RunMetadata) -> Section:
    """Return the hosts of a run."""
    header = ("host", "ranks", "CPU", "cores", "memory GiB", "kernel", "cache on")
    return Section("Hosts", header, tuple(map(_host, metadata.system_info.hosts)))


def checks_section(metadata: RunMetadata) -> Section:
    """Return the checks of the hosts of a run."""
    rows = tuple(check_rows(metadata.system_info.mlpstorage.checks))
    return Section("Checks of the hosts", ("check", "hosts", "verdict", "seen"), rows)


def _host(host: HostFacts) -> tuple[str, ...]:
    cache, memory_bytes = host.cache_filesystem, host.memory.total
    cores = host.cpu.num_logical_cores or host.cpu.num_cores
    return (
        host.hostname,
        " ".join(map(str, host.ranks)) or "-",
        host.cpu.model or "-",
        str(cores or "-"),
        "-" if memory_bytes is None else f"{memory_bytes / GIB:.1f}",
        host.system.kernel_version or "-",
        " ".join(filter(None, (cache.fstype, cache.device, cache.model))) or "-",
    )


def _parameters(metadata: RunMetadata) -> Section:
    options = metadata.effective_parameters.get("options")
    by_case = options if isinstance(options, dict) else {}
    workloads = {name: one for name, one in by_case.items() if isinstance(one, dict)}
    names = list(dict.fromkeys(name for one in workloads.values() for name in one))
    rows = [(name, *(str(one.get(name)) for one in workloads.values())) for name in names]
    return Section("Parameters", ("parameter", *workloads), tuple(rows))
