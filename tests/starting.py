"""Detection of tests that start processes: by marker, fixture, or a name in their code."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

import pytest

TESTS = Path(__file__).parent
STARTING_FIXTURES = frozenset({"memory_group", "pytester"})
"""Fixtures whose tests start processes through pytest, or use a control group."""

STARTING_MARKERS = ("launches_mpi", "hosts", "hosts_matrix", "failure_matrix")
"""Markers of tests that start ranks or hosts."""


def starts_process(item: pytest.Item) -> bool:
    """Return whether a test starts a process, by its marker, fixtures or code."""
    if any(item.get_closest_marker(name) for name in STARTING_MARKERS):
        return True
    if not isinstance(item, pytest.Function):
        return False
    if not STARTING_FIXTURES.isdisjoint(item.fixturenames):
        return True
    definitions = item._fixtureinfo.name2fixturedefs
    functions = [item.function, *(each[-1].func for each in definitions.values())]
    return any(names_subprocess(function) for function in functions)


def names_subprocess(value: object) -> bool:
    """Return whether a function or class of the tests names `subprocess`, at any depth."""
    return _names_subprocess(value, set())


def _names_subprocess(value: object, seen: set[int]) -> bool:
    if value is subprocess:
        return True
    if id(value) in seen:
        return False
    seen.add(id(value))
    if isinstance(value, type):
        own = vars(value).values() if value.__module__.startswith("tests.") else ()
        return any(_names_subprocess(member, seen) for member in own)
    if isinstance(value, functools.partial):
        return _names_subprocess(value.func, seen)
    function = getattr(value, "__wrapped__", value)
    if not isinstance(function, FunctionType) or not _is_here(function):
        return False
    named = {name for code in _codes(function.__code__) for name in code.co_names}
    reached = [function.__globals__[name] for name in named if name in function.__globals__]
    closed = [cell.cell_contents for cell in function.__closure__ or ()]
    return any(_names_subprocess(each, seen) for each in (*reached, *closed))


def _is_here(function: FunctionType) -> bool:
    return Path(function.__code__.co_filename).is_relative_to(TESTS)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
