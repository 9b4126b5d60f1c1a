"""pytest-benchmark: whether it is loaded, its table, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_benchmark
from pytest_benchmark import plugin as benchmark_plugin
from pytest_benchmark.utils import safe_dumps

from mlpstorage_bench.session.pytest_internals.command_line import words_given

BENCHMARK_PACKAGE = Path(pytest_benchmark.__file__).parent
"""Directory of pytest-benchmark, whose frames explain no error of a user."""
_RUN_ORDER = "run order"
"""Key by which pytest-benchmark's table is sorted, in place of one of its own."""
_COMPACT = ["min", "mean", "max", "rounds"]


def has_benchmark_plugin(config: pytest.Config) -> bool:
    """Whether pytest-benchmark is loaded, under its short name or its module's."""
    names = {getattr(plugin, "__name__", "") for plugin in config.pluginmanager.get_plugins()}
    return "pytest_benchmark.plugin" in names


def shape_benchmark_table(config: pytest.Config, *, has_times: bool) -> None:
    """Give pytest-benchmark's table few columns and the order of the run.

    Columns and an order that the user has set stay. A session that measured no times has no table.
    """
    session = getattr(config, "_benchmarksession", None)
    if session is None:
        return
    session.quiet = session.quiet or not has_times
    given = [word.partition("=")[0] for word in words_given(config)]
    if "--benchmark-columns" not in given:
        session.columns = _COMPACT
    if "--benchmark-sort" not in given:
        session.sort = _RUN_ORDER


def number_benchmarks(benchmarks: Sequence[dict[str, Any]]) -> None:
    """Number pytest-benchmark's results in the order in which they are: that of the run."""
    for number, benchmark in enumerate(benchmarks):
        benchmark[_RUN_ORDER] = number


def unit_of_benchmarks(config: pytest.Config, sort: str, **arguments: Any) -> object:
    """Return pytest-benchmark's unit for a table in the order of the run; None for another."""
    if sort != _RUN_ORDER:
        return None
    scale: Callable[..., object] = benchmark_plugin.pytest_benchmark_scale_unit
    return scale(config=config, sort="name", **arguments)


def as_json_holds(document: object) -> object:
    """Return a document as pytest-benchmark writes it, with null for NaN and infinity."""
    dumps: Callable[[object], str] = safe_dumps
    plain: object = json.loads(dumps(document), parse_constant=lambda _constant: None)
    return plain
