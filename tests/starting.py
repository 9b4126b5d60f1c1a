"""Detection of tests that start processes: by marker, fixture, or a name in their code."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

import pytest

HERE = f"{Path(__file__).parent}/"
STARTING_FIXTURES = frozenset({"memory_group", "pytester"})
"""Fixtures whose tests start processes through pytest, or use a control group."""

STARTING_MARKERS = frozenset({"launches_mpi", "hosts", "hosts_matrix", "failure_matrix"})
"""Markers of tests that start ranks or hosts."""

_without: dict[int, object] = {}
"""Values from which `subprocess` is not reached, by identity: tests share most of their code."""


def starts_process(item: pytest.Item) -> bool:
    """Return whether a test starts a process, by its marker, fixtures or code."""
    if any(mark.name in STARTING_MARKERS for mark in item.iter_markers()):
        return True
    if not isinstance(item, pytest.Function):
        return False
    if not STARTING_FIXTURES.isdisjoint(item.fixturenames):
        return True
    definitions = item._fixtureinfo.name2fixturedefs
    functions = [item.function, *(each[-1].func for each in definitions.values())]
    return any(names_subprocess(function) for function in functions)


@functools.cache
def names_subprocess(value: object) -> bool:
    """Return whether a function or class of the tests names `subprocess`, at any depth."""
    seen: dict[int, object] = {}
    found = _names_subprocess(value, seen)
    if not found:
        _without.update(seen)
    return found


def _names_subprocess(value: object, seen: dict[int, object]) -> bool:
    if value is subprocess:
        return True
    identity = id(value)
    if identity in seen or identity in _without:
        return False
    seen[identity] = value
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
    return function.__code__.co_filename.startswith(HERE)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
