"""The house keeps its shape: imports run one way, and pure rooms stay pure."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = "mlpstorage_bench"
ROOT = Path(__file__).parent.parent / PACKAGE

FLOORS = (
    {"plugin"},
    {"instead", "terminal"},
    {"closing", "opening", "relaunch", "fixtures", "sizes", "history_answers", "gate_answers"},
    {"session"},
    {"time_limit"},
    {"joining"},
    {
        "benchmark_json",
        "file_arguments",
        "gating",
        "outcomes",
        "provenance",
        "ranks",
        "run",
        "timers",
    },
    {"registry"},
    {"settings"},
    {"options"},
    {"report"},
    {"gate"},
    {"history", "kvcache"},
    {"cluster", "mpi", "results"},
    {"measure", "storage"},
    {"names", "request", "reaper"},
    {"errors"},
)
"""From the roof down: a room imports from floors below its own, and from itself."""

PURE = (
    "gate/comparison.py",
    "gate/evidence.py",
    "gate/foresight.py",
    "gate/interval.py",
    "gate/looks.py",
    "gate/sequential.py",
    "gate/statistics.py",
    "kvcache/workload",
    "measure/clock_offset.py",
    "measure/histogram.py",
    "measure/stragglers.py",
    "mpi/agreement.py",
    "mpi/hosts.py",
)
"""Values in, values out: besides the standard library only NumPy and errors."""


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            names |= {f"{PACKAGE}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def imported_rooms(path: Path) -> set[str]:
    parts = (name.split(".") for name in imported_modules(path))
    return {part[1] for part in parts if part[0] == PACKAGE and len(part) > 1}


FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}


def test_every_room_has_a_floor() -> None:
    assert {room(path) for path in modules()} - {"__init__"} == set(FLOOR_OF)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        return
    upward = {
        other for other in imported_rooms(path) if other != own and FLOOR_OF[other] <= FLOOR_OF[own]
    }
    assert upward == set()


@pytest.mark.parametrize("place", PURE)
def test_pure_rooms_import_no_clock_no_io_no_pytest(place: str) -> None:
    target = ROOT / place
    for path in [target] if target.is_file() else sorted(target.rglob("*.py")):
        forbidden = {"time", "os", "random", "socket", "threading", "subprocess", "pytest"}
        assert imported_modules(path) & (forbidden | {"mpi4py", "pathlib"}) <= (
            {"pathlib"} if place == "mpi/hosts.py" else set()
        )


def test_the_benchmark_type_is_known_by_name_in_the_registry_and_its_fixture_alone() -> None:
    knowing = {
        room(path)
        for path in modules()
        if room(path) != "kvcache"
        and ("kv_cache" in path.read_text() or "mlpstorage_bench.kvcache" in path.read_text())
    }
    assert knowing == {"registry", "fixtures"}


def test_mpi_is_imported_only_where_ranks_meet() -> None:
    importing = {
        str(path.relative_to(ROOT)) for path in modules() if "mpi4py" in imported_modules(path)
    }
    assert importing == {"mpi/comm.py", "mpi/conversations.py", "mpi/meetings.py"}
    assert "mpi4py" not in imported_modules(ROOT / "plugin.py")
