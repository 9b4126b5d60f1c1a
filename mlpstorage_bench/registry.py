"""Benchmark types by name. A type is loaded when a session uses it."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.interface import BenchmarkType
from mlpstorage_bench.errors import InvalidInputError


@dataclass(frozen=True)
class _Entry:
    """Facts about a type that are needed before it is loaded."""

    fixture: str
    """The fixture whose tests are benchmarks of this type."""
    case_argument: str
    """Argument of tests that run once for each of the plan's cases."""
    location: str
    """The type's object, as module:attribute."""


_TYPES = {
    "kv_cache": _Entry(
        "kvcache", "kvcache_workload", "mlpstorage_bench.kvcache.benchmark:KV_CACHE"
    ),
}

DEFAULT = "kv_cache"


def load(name: str) -> BenchmarkType:
    """Return a benchmark type by name."""
    if name not in _TYPES:
        raise InvalidInputError("benchmark_type", name, ", ".join(_TYPES))
    module, _, attribute = _TYPES[name].location.partition(":")
    loaded: BenchmarkType = getattr(importlib.import_module(module), attribute)
    return loaded


def fixture_names() -> frozenset[str]:
    """Return every type's fixture, and the argument for its plan's cases."""
    return frozenset(
        name for entry in _TYPES.values() for name in (entry.fixture, entry.case_argument)
    )


def types_of_fixtures(fixtures: Collection[str]) -> list[str]:
    """Return the names of the types whose fixtures are among these."""
    return [name for name, entry in _TYPES.items() if entry.fixture in fixtures]


def case_arguments(fixtures: Collection[str]) -> dict[str, str]:
    """Return the arguments for a plan's cases among these: argument → type."""
    return {
        entry.case_argument: name
        for name, entry in _TYPES.items()
        if entry.case_argument in fixtures
    }
