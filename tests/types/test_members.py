"""A type of another package that lacks a member is refused before anything is measured."""

from __future__ import annotations

import sys
from fnmatch import fnmatch
from types import ModuleType

import pytest

from mlpstorage_bench import TypeEntry, registry
from mlpstorage_bench.benchmark_type.members import member_names
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.trial import services
from mlpstorage_bench.trial.base_type import BaseType

SOURCE = "benchmark type own, TypeEntry of own: got 'own_type:OWN'"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module to which a registered type leads."""
    module = ModuleType("own_type")
    monkeypatch.setitem(sys.modules, "own_type", module)
    known = registry._types()
    entry = TypeEntry("own", "own_case", "own_type:OWN")
    monkeypatch.setattr(registry, "_types", lambda: {**known, "own": entry})
    return module


def lacking(name: str, *bases: type, **members: object) -> object:
    """Return an object with all members of a type but one, which its bases may have."""
    inherited = {name, *member_names(*bases)}
    own = {one: () for one in member_names(services.TestedType) if one not in inherited}
    return type("OwnType", bases, {**own, **members})()


def test_missing_method_is_named_with_the_class(module: ModuleType) -> None:
    vars(module)["OWN"] = lacking("conclusions")
    with pytest.raises(InvalidInputError) as caught:
        registry.load("own")
    assert str(caught.value) == (
        f"{SOURCE}; accepted: the place of the type's object. OwnType lacks conclusions; "
        "docs/extending.md lists all members, and BaseType has many of them"
    )


def test_type_without_its_table_of_metrics_is_refused(module: ModuleType) -> None:
    vars(module)["OWN"] = lacking("table", BaseType)
    with pytest.raises(InvalidInputError, match="OwnType lacks table; "):
        registry.load("own")


@pytest.mark.usefixtures("module")
def test_place_that_has_no_object_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="own_type has no 'OWN'"):
        registry.load("own")


class OwnPlan:
    """A plan that has cases and nothing else."""

    cases = ("copy",)


@pytest.mark.slow
@pytest.mark.parametrize("test", ["(own)", "(own, own_case)"])
@pytest.mark.parametrize(
    ("lacks", "message"),
    [
        ("conclusions", "OwnType lacks conclusions"),
        ("plan", "plan of own: got 'OwnPlan'; accepted: *. It lacks model, "),
    ],
)
def test_session_with_such_a_type_ends_before_it_measures(
    pytester: pytest.Pytester, module: ModuleType, test: str, lacks: str, message: str
) -> None:
    plan = {"plan": lambda _own, _request: OwnPlan()} if lacks == "plan" else {}
    vars(module)["OWN"] = lacking(lacks, **plan)
    pytester.makeconftest(
        """
import pytest
from mlpstorage_bench import fixture_of

@pytest.fixture
def own(request, benchmark):
    yield from fixture_of(request, benchmark, "own")
"""
    )
    pytester.makepyfile(f"def test_own{test}: own.run()")
    result = pytester.runpytest("--mlps-results-dir=results", "--mlps-cache-dir=cache")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    shown = f"{result.stdout}\n{result.stderr}"
    assert fnmatch(shown, f"*{message}*")
    assert "Traceback" not in shown
    assert not (pytester.path / "results").exists()
