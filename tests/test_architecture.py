"""Layers: imports run one way, pure modules stay pure, and docs/architecture.md has the table.

`python -m tests.test_architecture --update` writes the table of the page again.
"""

from __future__ import annotations

import ast
import functools
import sys
from pathlib import Path

import pytest

from mlpstorage_bench.kvcache.benchmark import KV_CACHE
from tests.statements import statements

PACKAGE = "mlpstorage_bench"
PROJECT = Path(__file__).parent.parent
ROOT = PROJECT / PACKAGE
PAGE = PROJECT / "docs" / "architecture.md"
BEGIN, END = "<!-- table: made by tests/test_architecture.py -->\n", "<!-- end of table -->\n"

LAYERS = (
    (("benchmarks",), "test cases that measure storage, run with `--pyargs`"),
    (("plugin",), "pytest's hooks, each a few lines"),
    (
        ("commands", "pull_request"),
        "commands that print and exit instead of running tests; a comment with a report",
    ),
    (("session",), "a pytest session over all ranks: start, fixtures, outcomes, run, gate, end"),
    (("registry",), "the table of benchmark types"),
    (("options",), "the command line, declared once, and the frozen `Settings` made from it"),
    (("export",), "figures of a run for other programs: Prometheus, JSON, CSV"),
    (("report",), "terminal tables, Markdown, HTML"),
    (("submission",), "a directory to hand in: runs, descriptions of systems, code, tables"),
    (
        ("compare", "gate", "validation"),
        "runs side by side; whether a run is worse than earlier ones; the rules of result trees",
    ),
    (
        ("checkpointing", "history", "kvcache", "training"),
        "earlier runs and their index; the benchmark types",
    ),
    (("own_types",), "names for packages that add a benchmark type"),
    (("trial",), "trials of any type: lanes, windows, counters, steps, pooling, failures"),
    (("doctor",), "checks of this machine: MPI, limits, kernel, cache directory"),
    (("leaves",), "directories of runs, whoever wrote them: place, files, commands, figures"),
    (("cluster", "results"), "facts about hosts; the results tree, its records and metadata"),
    (
        ("benchmark_type",),
        "what every benchmark type has: its interface, records of its results, sizes",
    ),
    (("mpi",), "communication between ranks"),
    (("launch",), "the parent process: starts ranks through a launcher and watches them"),
    (("measure", "storage"), "which bytes count; how bytes move (neither knows a workload)"),
    (("process",), "helper processes, signals, standard streams; limits and identity of processes"),
    (("metric",), "metrics: how they are declared, combined and described"),
    (("progress",), "state of a run while it goes on; its text and its region of a terminal"),
    (("profiles",), "profiles of any benchmark type: YAML, settings, limits of values"),
    (("inputs",), "users' files: opened, decompressed and parsed, within limits"),
    (("paths", "units"), "names and paths from users; units of bytes, time and metrics"),
    (("redaction",), "removal of secrets from commands, texts and JSON"),
    (("errors",), "errors that users see"),
    (("escaping",), "text from outside, as a terminal, Markdown and HTML show it"),
)
"""Layers from top to bottom: a module imports from its own package and from layers below."""

KVCACHE_LAYERS = (
    (("benchmark",), "the entry in the registry"),
    (("fixture",), "the object of the fixture that tests use"),
    (("plan", "fio_job"), "the cases to run; an fio job made from a trace"),
    (("datasize", "runner"), "bytes needed; trials: workers, scheduler, window, supervision"),
    (("results", "sizing"), "measurements of ranks, pooled; bytes needed by one rank"),
    (("request_tally",), "bytes that the requests of a rank add"),
    (("turn_tally",), "bytes of a user's entries, counted in arrays"),
    (("config",), "profiles, parameters, models, objectives"),
    (
        ("cache", "trace_files", "trace_input"),
        "tiers, eviction, lookups; traces that are written and read",
    ),
    (("workload",), "requests, users, blocks, arrivals, traces (pure)"),
)
"""Layers inside kvcache."""

PURE = (
    "checkpointing/model",
    "compare/figures.py",
    "compare/subject.py",
    "gate/change_points.py",
    "gate/comparison.py",
    "gate/decision.py",
    "gate/disturbances.py",
    "gate/evidence.py",
    "gate/independence.py",
    "gate/judgement.py",
    "gate/looks.py",
    "gate/plan.py",
    "gate/wording.py",
    "kvcache/workload",
    "launch/hosts.py",
    "measure/clock_offset.py",
    "measure/coarse_histogram.py",
    "measure/conditions.py",
    "measure/histogram.py",
    "measure/series_slots.py",
    "measure/stragglers.py",
    "measure/time_series.py",
    "metric",
    "mpi/agreement.py",
    "progress",
    "training/workload",
)
"""Modules without I/O, clock, MPI or pytest: besides the standard library only NumPy and errors."""

FOR_PUBLISHED_TYPES = frozenset(
    {"checkpointing", "compare", "kvcache", "leaves", "submission", "validation"}
)
"""Packages that know benchmark types by name; all but kvcache know those of the published rules."""
MOST_TOP_LEVEL_MODULES = 8

WITH_UNTYPED_OBJECTS = {
    "inputs/json_files.py": "lines of users' files, before they are parsed",
    "inputs/yaml_files.py": "users' YAML, before it is parsed",
    "kvcache/config/profile_file.py": "a profile, while it is parsed",
    "profiles/reader.py": "a profile, while it is parsed",
    "profiles/schema.py": "keys of a profile, before they are parsed",
    "checkpointing/fixture.py": "arguments of a user's call, before they are parsed",
    "checkpointing/results/stored_trial.py": "a kept checkpoint, while it is parsed",
    "kvcache/config/slo.py": "arguments of a user's marker, before they are parsed",
    "kvcache/results/stored_trial.py": "a kept trial, while it is parsed",
    "kvcache/workload/traces/client_rates.py": "an object of a user's trace, while it is parsed",
    "kvcache/workload/traces/fields.py": "a row of a user's trace, while it is parsed",
    "measure/histogram.py": "JSON of one histogram, written and read here alone",
    "measure/operation_statistics.py": "JSON of statistics, written here alone",
    "options/declared.py": "values of argparse, before they are parsed",
    "options/option.py": "arguments of argparse's add_argument",
    "options/settings.py": "values of argparse, while they are parsed",
    "results/kept_trials.py": "a kept trial, which only its benchmark type reads",
    "session/hooks.py": "the JSON of pytest-benchmark",
    "session/pytest_internals/benchmark_plugin.py": "the JSON of pytest-benchmark",
    "session/run_contents.py": "the metadata as JSON, for tests of users",
    "trial/stored_operations.py": "a kept trial, while it is parsed",
    "training/results/stored_trial.py": "a kept trial, while it is parsed",
}
"""Modules in which JSON objects have values of any type, with the reason; records are typed."""


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


@functools.cache
def imported_modules(path: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in statements(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            names |= {f"{PACKAGE}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def numbered(layers: tuple[tuple[tuple[str, ...], str], ...]) -> dict[str, int]:
    return {name: number for number, (names, _) in enumerate(layers) for name in names}


def part(dotted: str, prefix: str) -> str:
    """Return the name below a package in a dotted module name; '' if there is none."""
    return (
        dotted.removeprefix(f"{prefix}.").split(".")[0] if dotted.startswith(f"{prefix}.") else ""
    )


def upward_imports(
    path: Path, prefix: str, layers: tuple[tuple[tuple[str, ...], str], ...]
) -> set[str]:
    layer_of = numbered(layers)
    dotted = ".".join((PACKAGE, *path.relative_to(ROOT).with_suffix("").parts))
    own = part(dotted, prefix)
    others = {part(name, prefix) for name in imported_modules(path)} & set(layer_of)
    return {other for other in others if other != own and layer_of[other] <= layer_of[own]}


def rows(layers: tuple[tuple[tuple[str, ...], str], ...]) -> str:
    lines = [f"| {', '.join(f'`{name}`' for name in names)} | {what} |" for names, what in layers]
    return "\n".join(["| package or module | content |", "|---|---|", *lines, ""])


def page_with_tables(page: str) -> str:
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    tables = f"{rows(LAYERS)}\nInside `kvcache`:\n\n{rows(KVCACHE_LAYERS)}"
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def test_records_between_modules_are_typed() -> None:
    untyped = {
        str(path.relative_to(ROOT)) for path in modules() if "[str, Any]" in path.read_text()
    }
    assert untyped == set(WITH_UNTYPED_OBJECTS)


def test_layers_name_every_package_and_module() -> None:
    top = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in modules()}
    assert top - {"__init__"} == set(numbered(LAYERS))
    kvcache = {
        path.relative_to(ROOT).parts[1].removesuffix(".py") for path in ROOT.glob("kvcache/**/*.py")
    }
    assert kvcache - {"__init__"} == set(numbered(KVCACHE_LAYERS))


def test_top_level_has_few_modules_beside_packages() -> None:
    assert len([*ROOT.glob("*.py")]) <= MOST_TOP_LEVEL_MODULES


def test_imports_run_downward() -> None:
    upward: dict[str, set[str]] = {}
    for path in modules():
        place = path.relative_to(ROOT)
        upward[str(place)] = set()
        if place.parts[0] != "__init__.py":
            upward[str(place)] |= upward_imports(path, PACKAGE, LAYERS)
        if place.parts[0] == "kvcache" and place.parts[1] != "__init__.py":
            upward[str(place)] |= upward_imports(path, f"{PACKAGE}.kvcache", KVCACHE_LAYERS)
    assert {place: names for place, names in upward.items() if names} == {}


def imports_within() -> dict[str, frozenset[str]]:
    """Return the package's modules that each of its modules imports, also for types alone."""
    names = {
        ".".join((PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path
        for path in modules()
    }
    faces = {name for name, path in names.items() if path.name == "__init__.py"}
    return {
        name: (imported_modules(path) & set(names)) - faces - {name}
        for name, path in names.items()
        if name not in faces
    }


def test_modules_do_not_import_each_other_in_circles() -> None:
    waiting = imports_within()
    while waiting:
        done = {name for name, imported in waiting.items() if not imported & waiting.keys()}
        assert done, f"circles among {sorted(waiting)}"
        waiting = {name: imported for name, imported in waiting.items() if name not in done}


@pytest.mark.parametrize("place", PURE)
def test_pure_modules_import_no_clock_io_mpi_or_pytest(place: str) -> None:
    target = ROOT / place
    forbidden = {"time", "os", "random", "socket", "threading", "subprocess", "pytest", "mpi4py"}
    for path in [target] if target.is_file() else sorted(target.rglob("*.py")):
        assert not imported_modules(path) & (forbidden | {"pathlib"})


def test_kv_cache_is_named_only_by_registry_fixtures_benchmarks_and_public_api() -> None:
    knowing = {
        str(path.relative_to(ROOT))
        for path in modules()
        if path.relative_to(ROOT).parts[0] not in FOR_PUBLISHED_TYPES
        and ("kv_cache" in path.read_text() or f"{PACKAGE}.kvcache" in path.read_text())
    }
    assert knowing == {
        "__init__.py",
        "benchmarks/test_kvcache.py",
        "registry.py",
        "session/fixtures.py",
    }


def test_interface_of_benchmark_types_has_no_any() -> None:
    for path in (ROOT / "benchmark_type").glob("*.py"):
        assert "typing.Any" not in imported_modules(path)


@pytest.mark.parametrize(
    "package", ["commands", "export", "gate", "history", "report", "results", "session"]
)
def test_metrics_of_kv_cache_are_not_known_by_name(package: str) -> None:
    names = {metric.name for metric in KV_CACHE.metrics if "_" in metric.name}
    for path in (ROOT / package).rglob("*.py"):
        text = path.read_text()
        if not any(name in text for name in names):
            continue
        nodes = list(ast.walk(ast.parse(text)))
        used = {node.value for node in nodes if isinstance(node, ast.Constant)}
        used |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        is_frozen_description = path.name == "schema_1.py"
        assert is_frozen_description or not used & names, path


def test_mpi4py_is_imported_only_by_modules_of_mpi() -> None:
    importing = {
        str(path.relative_to(ROOT)) for path in modules() if "mpi4py" in imported_modules(path)
    }
    assert importing == {
        "mpi/comm.py",
        "mpi/connection.py",
        "mpi/mpi_comm.py",
        "mpi/notices.py",
        "mpi/point_to_point.py",
        "mpi/posts.py",
    }


def test_architecture_page_has_the_table_of_layers() -> None:
    page = PAGE.read_text()
    assert page == page_with_tables(page), "run python -m tests.test_architecture --update"


if __name__ == "__main__" and sys.argv[1:] == ["--update"]:
    PAGE.write_text(page_with_tables(PAGE.read_text()))
