"""Benchmark types by name. A type is loaded when a session uses it.

Other packages add types in the entry-point group `mlpstorage_bench.types`: an entry point has the
type's name, and leads to a `TypeEntry`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, cast

from mlpstorage_bench.benchmark_type.members import missing_members
from mlpstorage_bench.errors import InvalidInputError

if TYPE_CHECKING:
    from mlpstorage_bench.trial.services import TestedType

GROUP = "mlpstorage_bench.types"


@dataclass(frozen=True)
class TypeEntry:
    """Facts about a type that are needed before it is loaded."""

    fixture: str
    """The fixture whose tests are benchmarks of this type."""
    case_argument: str
    """Argument of tests that run once for each of the plan's cases."""
    location: str
    """The type's object, as module:attribute."""
    has_data: bool = False
    """Whether its tests read data that is made before, with --mlps-datagen."""


_OWN = {
    "checkpointing": TypeEntry(
        "checkpointing",
        "checkpointing_kind",
        "mlpstorage_bench.checkpointing.benchmark:CHECKPOINTING",
    ),
    "kv_cache": TypeEntry(
        "kvcache", "kvcache_workload", "mlpstorage_bench.kvcache.benchmark:KV_CACHE"
    ),
    "training": TypeEntry(
        "training",
        "training_workload",
        "mlpstorage_bench.training.benchmark:TRAINING",
        has_data=True,
    ),
}

DEFAULT = "kv_cache"


@functools.cache
def _types() -> Mapping[str, TypeEntry]:
    """Return all types by name; InvalidInputError for an entry point that is unusable."""
    found = dict(_OWN)
    for point in metadata.entry_points(group=GROUP):
        if point.name in found:
            raise InvalidInputError(_source(point), point.name, "a name that no other type has")
        try:
            entry = point.load()
        except (ImportError, AttributeError) as error:
            raise InvalidInputError(
                _source(point), point.value, "a module that can be imported", hint=str(error)
            ) from error
        if not isinstance(entry, TypeEntry):
            raise InvalidInputError(_source(point), point.value, "the place of a TypeEntry")
        found[point.name] = entry
    return found


def _source(point: metadata.EntryPoint) -> str:
    """Return the entry point's group, and the package that has it."""
    owner = "" if point.dist is None else f" of {point.dist.name}"
    return f"entry point {GROUP}{owner}"


def names() -> tuple[str, ...]:
    """Return the names of all types."""
    return tuple(_types())


def entry(name: str) -> TypeEntry:
    """Return the facts about a type; InvalidInputError if there is none of this name."""
    if name not in _types():
        raise InvalidInputError("benchmark_type", name, ", ".join(_types()))
    return _types()[name]


def load(name: str) -> TestedType:
    """Return a benchmark type by name; InvalidInputError if its object cannot be one."""
    return _object_of(name, entry(name).location)


@functools.cache
def _object_of(name: str, location: str) -> TestedType:
    """Return the object at a place, if it has every member that a session uses."""
    # sessions that use no type import this module, and these load NumPy and pydantic
    from mlpstorage_bench.trial.base_type import BaseType  # noqa: PLC0415 - see above
    from mlpstorage_bench.trial.services import TestedType  # noqa: PLC0415 - see above

    module, _, attribute = location.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        raise _unusable(name, location, str(error)) from error
    if found is None:
        raise _unusable(name, location, f"{module} has no {attribute!r}")
    own_bases = [BaseType] if isinstance(found, BaseType) else []
    missing = missing_members(found, TestedType, *own_bases)
    if missing:
        raise _unusable(
            name,
            location,
            f"{type(found).__name__} lacks {', '.join(missing)}; "
            "docs/extending.md lists all members, and BaseType has many of them",
        )
    return cast("TestedType", found)


def _unusable(name: str, location: str, problem: str) -> InvalidInputError:
    """Return the error about a type's object; the entry point's package is named."""
    points = metadata.entry_points(group=GROUP, name=name)
    source = next(map(_source, points), f"benchmark type {name}")
    return InvalidInputError(
        f"{source}, TypeEntry of {name}", location, "the place of the type's object", hint=problem
    )


def fixture_names() -> frozenset[str]:
    """Return every type's fixture, and the argument for its plan's cases."""
    return frozenset(name for one in _types().values() for name in (one.fixture, one.case_argument))


def types_of_fixtures(fixtures: Collection[str]) -> list[str]:
    """Return the names of the types whose fixtures are among these."""
    return [name for name, one in _types().items() if one.fixture in fixtures]


def case_arguments(fixtures: Collection[str]) -> dict[str, str]:
    """Return the arguments for a plan's cases among these: argument → type."""
    return {
        one.case_argument: name for name, one in _types().items() if one.case_argument in fixtures
    }
