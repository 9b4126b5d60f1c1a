"""Whether a session uses this plugin, and whether its ranks join before conftests are loaded.

The plugin is loaded in every session of every project where it is installed: until a session uses
it, it initialises no MPI, silences no rank and imports nothing heavy. So this module imports
neither NumPy nor pydantic, SQLite or mpi4py.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.launch.environment import (
    LAUNCH_ID_VARIABLE,
    LauncherEnvironment,
    detect_launcher,
)
from mlpstorage_bench.options.declared import given_options, has_reference_name
from mlpstorage_bench.options.names import ALIASES_INI, GRACE_INI, MPI_INI, MPI_MODES, STARTUP_INI
from mlpstorage_bench.session.pytest_internals.other_plugins import is_worker

SCENARIO = "mlps_scenario"
"""Marks a workload beside the profile's own."""
SLO = "mlps_slo"
MARKERS = (
    (
        f"{SLO}(class, p95_ms=…): fail the test when requests of this class (interactive, "
        "responsive, batch) took longer; limits p50_ms, p95_ms, p99_ms, p999_ms, p9999_ms; for "
        "tests with the fixture kvcache"
    ),
    (
        f"{SCENARIO}: a workload beside the profile's own; skipped with profiles whose results "
        "are to be compared"
    ),
)
"""Markers of this plugin, as `pytest --markers` shows them."""

_FIXTURES = frozenset({"mpi_comm", "cluster_info", "mlps_run", "mlps_runs"})


class CollectionError(NamedTuple):
    """A file or directory that could not be collected."""

    text: str
    path: Path


_COLLECTION_ERRORS = pytest.StashKey[list[CollectionError]]()


def fixtures() -> frozenset[str]:
    """Return the fixtures of this plugin, and test arguments that it parametrizes."""
    return _FIXTURES | registry.fixture_names()


def launcher_of(config: pytest.Config) -> LauncherEnvironment | None:
    """Return the launcher whose ranks this session may join; None with `mlps_mpi = off`."""
    return None if mpi_mode(config) == "off" else detect_launcher(os.environ)


def mpi_mode(config: pytest.Config) -> str:
    """Return the ini-file's `mlps_mpi`; raises a usage error where it is none of the modes."""
    mode = str(config.getini(MPI_INI))
    if mode not in MPI_MODES:
        raise pytest.UsageError(f"{MPI_INI}: got {mode!r}; accepted: {', '.join(MPI_MODES)}")
    return mode


def joins_before_conftests(
    config: pytest.Config, parser: pytest.Parser, args: list[str], known: argparse.Namespace
) -> bool:
    """Whether ranks join now, because of mode `on`, an option, an ini value or our parent."""
    return (
        mpi_mode(config) == "on"
        or LAUNCH_ID_VARIABLE in os.environ
        or bool(given_options(known))
        or any(config.getini(name) is not None for name in (GRACE_INI, STARTUP_INI))
        or (bool(config.getini(ALIASES_INI)) and _has_alias(parser, args))
    )


def _has_alias(parser: pytest.Parser, args: list[str]) -> bool:
    """Whether an argument is the reference's name of an option, and not another plugin's option."""
    if not has_reference_name(args):
        return False
    _, unknown = parser.parse_known_and_unknown_args(args)
    return has_reference_name(unknown)


def asks_for_help(known: argparse.Namespace) -> bool:
    """Whether pytest prints its help or version and ignores all other options."""
    return bool(getattr(known, "help", False) or getattr(known, "version", False))


def runs_no_test(config: pytest.Config) -> bool:
    """Whether this pytest only prints something, for which no rank is needed."""
    return any(config.getoption(name, None) for name in _PRINTS_ONLY)


def opens_no_run(config: pytest.Config) -> bool:
    """Whether the session measures nothing: it runs no test, or sets up fixtures alone."""
    return runs_no_test(config) or bool(config.getoption("setuponly", None))


_PRINTS_ONLY = (
    *("help", "version", "markers", "showfixtures", "show_fixtures_per_test", "collectonly"),
    *("cacheshow", "setupplan"),
)


def is_used(config: pytest.Config, items: Iterable[pytest.Item]) -> bool:
    """Whether a session uses this plugin, judged by its collected tests.

    All ranks have to decide alike. Therefore a test file that this rank could not collect counts
    if its text names a fixture or marker of this plugin: other ranks may have collected it.
    """
    if runs_no_test(config):
        return False
    if launcher_of(config) is None:
        return _is_used_by(items)
    if is_worker(config):
        return False  # a worker is not a rank: our fixtures fail in it
    return _is_used_by(items) or any(
        _is_named_in(error.path) for error in collection_errors(config)
    )


def _is_used_by(items: Iterable[pytest.Item]) -> bool:
    """Whether any of these tests uses a fixture or a marker of this plugin."""
    return any(
        not fixtures().isdisjoint(getattr(item, "fixturenames", ()))
        or item.get_closest_marker(SCENARIO) is not None
        or item.get_closest_marker(SLO) is not None
        for item in items
    )


def _is_named_in(path: Path) -> bool:
    """Whether a test file names a fixture or a marker of this plugin."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    names = "|".join(sorted((*fixtures(), SCENARIO, SLO)))
    return re.search(rf"\b({names})\b", text) is not None


def collection_errors(config: pytest.Config) -> list[CollectionError]:
    """Return the list of this rank's collection errors so far; pytest's hook appends to it."""
    return config.stash.setdefault(_COLLECTION_ERRORS, [])
