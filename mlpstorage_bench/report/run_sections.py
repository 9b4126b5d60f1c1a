"""Tables of a run's metadata: hosts, checks, tests, verdicts and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlpstorage_bench.benchmark_type.figures import CaseFigures
from mlpstorage_bench.compare.subject import case_order
from mlpstorage_bench.report.integrity_table import check_rows
from mlpstorage_bench.report.tables import Section
from mlpstorage_bench.results.metadata_parts import HostFacts
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.units import size_text

_ORDER = ("regressed", "disturbed", "undecided", "collecting", "improved", "passed")
"""Verdicts of the gate, the gravest first."""


def tests_section(metadata: RunMetadata) -> Section:
    """Return the tests of a run with their outcomes, failures first."""
    tests = sorted(metadata.own.tests, key=lambda test: test.outcome != "failed")
    rows = (
        (
            test.test,
            test.outcome,
            "-" if test.duration_s is None else f"{test.duration_s:.1f}",
            test.message,
        )
        for test in tests
    )
    return Section("Tests", ("test", "outcome", "seconds", "message"), tuple(rows))


def hosts_section(metadata: RunMetadata) -> Section:
    """Return the hosts of a run."""
    header = ("host", "ranks", "CPU", "cores", "memory", "kernel", "cache on")
    return Section("Hosts", header, tuple(map(_host, metadata.system_info.hosts)))


def objectives_section(metadata: RunMetadata) -> Section:
    """Return the objectives of a run's cases, with what was measured; those missed first."""
    header = ("case", "objective", "measured", "accepted", "samples", "")
    found = [(name, one) for name, case in metadata.cases.items() for one in case.objectives]
    rows = tuple(
        (
            name,
            f"{one.objective} {one.percentile.removesuffix('_ms')}",
            "-" if one.seen_ms is None else f"{one.seen_ms:.3g} ms",
            f"at most {one.limit_ms:.10g} ms",
            one.counted,
            "met" if one.is_met else "missed",
        )
        for name, one in sorted(found, key=lambda named: named[1].is_met)
    )
    return Section("Objectives", header, rows)


def checks_section(metadata: RunMetadata) -> Section:
    """Return the checks of the hosts of a run."""
    rows = tuple(check_rows(metadata.system_info.mlpstorage.checks))
    return Section("Checks of the hosts", ("check", "hosts", "verdict", "seen"), rows)


def gate_section(metadata: RunMetadata) -> Section:
    """Return the gate's verdicts on a run, the gravest first."""
    gate = metadata.own.gate
    verdicts = sorted(
        metadata.own.verdicts,
        key=lambda one: _ORDER.index(one.verdict) if one.verdict in _ORDER else 0,
    )
    rows = tuple(
        (one.verdict, one.case, one.metric, one.change or "-", one.rule or "-", one.reason)
        for one in verdicts
    )
    refused = tuple(
        ("not compared", case, "-", "-", "-", reason) for case, reason in gate.refusals.items()
    )
    without_figure = (
        *(("judges nothing", "-", "-", "-", one.rule, one.reason) for one in gate.unused_rules),
        *(
            ("not judged", one.case, one.metric, "-", one.rule or "-", one.reason)
            for one in gate.not_judged
        ),
    )
    header = ("verdict", "case", "metric", "change", "rule", "reason")
    return Section("Verdicts of the gate", header, (*rows, *refused, *without_figure))


def _host(host: HostFacts) -> tuple[str, ...]:
    cache, memory_bytes = host.cache_filesystem, host.memory.total
    cores = host.cpu.num_logical_cores or host.cpu.num_cores
    return (
        host.hostname,
        " ".join(map(str, host.ranks)) or "-",
        host.cpu.model or "-",
        str(cores or "-"),
        "-" if memory_bytes is None else size_text(memory_bytes),
        host.system.kernel_version or "-",
        " ".join(filter(None, (cache.fstype, cache.device, cache.model))) or "-",
    )


def set_section(metadata: RunMetadata) -> Section:
    """Return the options, the profile and the parameters that the user set."""
    rows = tuple(flat(metadata.settings_by_user))
    return Section("Set for this run", ("setting", "value"), rows)


def plugins_section(metadata: RunMetadata) -> Section:
    """Return the facts that plugins added to a run."""
    rows = tuple(
        (plugin, name, value)
        for plugin, facts in metadata.own.plugins.items()
        for name, value in flat(facts)
    )
    return Section("Facts of plugins", ("plugin", "fact", "value"), rows)


def changed_section(metadata: RunMetadata) -> Section:
    """Return the parameters of the cases that are not at their defaults, with a row for each case.

    Parameters that are equal in all cases have a row of their own, if others are not equal.
    """
    changed: dict[str, dict[str, str]] = {}
    for name, case in metadata.cases.items():
        parameters = case.workload_fingerprint_parts.get("parameters")
        if isinstance(parameters, dict):
            changed[name] = dict(flat(parameters))
    names = list(dict.fromkeys(name for one in changed.values() for name in one))
    alike = {
        name
        for name in names
        if len(changed) > 1 and len({one.get(name) for one in changed.values()}) == 1
    }
    if len(alike) == len(names):
        alike = set()
    columns = [name for name in names if name not in alike]
    rows = [(case, *(one.get(name, "-") for name in columns)) for case, one in changed.items()]
    if alike:
        in_all = ", ".join(f"{n} {next(iter(changed.values()))[n]}" for n in names if n in alike)
        rows.append((f"all: {in_all}", *[""] * len(columns)))
    return Section(
        "Parameters that are not at their defaults",
        ("case", *columns),
        tuple(rows) if names else (),
    )


def all_parameters_section(metadata: RunMetadata, figures: Mapping[str, CaseFigures]) -> Section:
    """Return all parameters of each case: of those that ran, as they ran."""
    options = metadata.effective_parameters.get("options")
    planned = options if isinstance(options, dict) else {}
    by_case: dict[str, Mapping[str, object]] = {
        name: one for name, one in planned.items() if isinstance(one, dict)
    }
    by_case |= {name: one.parameters for name, one in figures.items() if one.parameters}
    ran = [name for name in metadata.cases if name in by_case]
    others = sorted(by_case.keys() - metadata.cases.keys(), key=case_order)
    by_case = {name: by_case[name] for name in (*ran, *others)}
    names = list(dict.fromkeys(name for one in by_case.values() for name in one))
    rows = [(name, *(_plain(one.get(name)) for one in by_case.values())) for name in names]
    return Section("All parameters", ("parameter", *by_case), tuple(rows))


def flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested values with their dotted path."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _plain(value)


def _plain(value: object) -> str:
    """Return a value of a parameter as people write it; '-' stands for none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "-"
    return "-" if value is None or value == {} else str(value)
