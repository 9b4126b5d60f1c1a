"""Values and errors of users' hooks, without a session: none makes a run that cannot be read."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pluggy
import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.session import hookspec
from mlpstorage_bench.session.plugin_hooks import PluginHooks
from mlpstorage_bench.session.recorded_values import RecordedValues
from mlpstorage_bench.session.run import Run

RUN = cast("Run", None)


def nested(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = [value]
    return value


def hooks_of(metadata: Callable[[], object]) -> PluginHooks:
    """Return the hooks of one plugin, which has facts for the metadata."""

    class Plugin:
        @pytest.hookimpl
        def pytest_mlps_metadata(self) -> object:
            return metadata()

    class Config:
        pluginmanager = pluggy.PluginManager("pytest")
        rootpath = Path("/")

    manager = Config.pluginmanager
    manager.add_hookspecs(hookspec)
    manager.parse_hookimpl_opts = lambda plugin, name: (  # type: ignore[method-assign]  # as pytest
        getattr(getattr(plugin, name), "pytest_impl", None)
    )
    manager.register(Plugin(), "mine")
    Config.hook = manager.hook  # type: ignore[attr-defined]  # as pytest's
    return PluginHooks(cast("pytest.Config", Config()))


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        (lambda: {"deep": nested(190)}, "recursion limit exceeded"),
        # Python's limit for C code is ten times that for Python code in 3.13
        (lambda: {"deep": nested(sys.getrecursionlimit() * 100)}, "nested too deeply"),
        (lambda: {"large": "x" * (17 << 20)}, "larger than 16 MiB"),
        (lambda: {"rack": {1, 2}}, "set is not JSON"),
        (lambda: sys.exit("no array"), "SystemExit: no array"),
        (lambda: pytest.skip("no array"), "Skipped: no array"),
    ],
)
def test_facts_that_no_file_can_have_are_named(facts: Callable[[], object], problem: str) -> None:
    hooks = hooks_of(facts)
    assert hooks.metadata(RUN) == {}
    (seen,) = hooks.problems
    assert seen.startswith("pytest_mlps_metadata of mine")
    assert problem in seen


def test_facts_are_copied_and_half_characters_replaced() -> None:
    facts = {"name": "half \ud83d", "of": [1, 2.5, None]}
    assert hooks_of(lambda: facts).metadata(RUN) == {
        "mine": {"name": "half \ufffd", "of": [1, 2.5, None]}
    }


def test_recorded_value_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="recursion limit exceeded"):
        RecordedValues(()).add("deep", nested(190), "", None)
