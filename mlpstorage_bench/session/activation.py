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
from typing import TYPE_CHECKING, NamedTuple

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.launch.environment import LauncherEnvironment, detect_launcher
from mlpstorage_bench.options.declared import (
    ALIASES_INI,
    GRACE_INI,
    MPI_INI,
    MPI_MODES,
    OPTIONS,
    STARTUP_INI,
    given_options,
)
from mlpstorage_bench.session.pytest_internals import is_worker

if TYPE_CHECKING:
    from mlpstorage_bench.mpi.comm import Comm
    from mlpstorage_bench.session.session import MlpsSession

COMM: pytest.StashKey[Comm] = pytest.StashKey()
"""Where pytest's config keeps the ranks, once they have joined."""
KEY: pytest.StashKey[MlpsSession] = pytest.StashKey()
"""Where pytest's config keeps our session, once this plugin is in use."""

COMMAND = pytest.StashKey[argparse.Namespace]()
"""Where pytest's config keeps the options of a command that prints and exits."""
HAS_PASSED = pytest.StashKey[bool]()
"""Where a test keeps whether its call has passed."""

SCENARIO = "mlps_scenario"
"""Marks a workload beside the profile's own."""
SLO = "mlps_slo"
MARKERS = (
    (
        f"{SLO}(class, p95_ms=…): fail the test when requests of this class (interactive, "
        "responsive, batch) took longer; limits p50_ms, p95_ms, p99_ms, p999_ms, p9999_ms"
    ),
    (
        f"{SCENARIO}: a workload beside the profile's own; skipped with profiles whose results "
        "are to be compared"
    ),
)
"""Markers of this plugin, as `pytest --markers` shows them."""

FIXTURES = frozenset({"mpi_comm", "cluster_info", "mlps_run"}) | registry.fixture_names()
"""Fixtures of this plugin, and arguments that it gives values."""


class CollectionError(NamedTuple):
    """A file or directory that could not be collected."""

    text: str
    path: Path


_COLLECTION_ERRORS = pytest.StashKey[list[CollectionError]]()
_PARENT_VARIABLE = "MLPS_LAUNCH_ID"
_NAMES_OF_OURS = re.compile(rf"\b({'|'.join(sorted((*FIXTURES, SCENARIO, SLO)))})\b")


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
        or _PARENT_VARIABLE in os.environ
        or bool(given_options(known))
        or any(config.getini(name) is not None for name in (GRACE_INI, STARTUP_INI))
        or (bool(config.getini(ALIASES_INI)) and _has_alias(parser, args))
    )


def _has_alias(parser: pytest.Parser, args: list[str]) -> bool:
    """Whether an argument is the reference's name of an option, and no other plugin's."""
    aliases = {f"--{option.reference_name}" for option in OPTIONS if option.reference_name}
    if aliases.isdisjoint(argument.partition("=")[0] for argument in args):
        return False
    _, unknown = parser.parse_known_and_unknown_args(args)
    return not aliases.isdisjoint(argument.partition("=")[0] for argument in unknown)


def asks_for_help(known: argparse.Namespace) -> bool:
    """Whether pytest prints its help or version, whatever else is asked for."""
    return bool(getattr(known, "help", False) or getattr(known, "version", False))


def runs_no_test(config: pytest.Config) -> bool:
    """Whether this pytest only prints something: no rank is needed for that."""
    return any(config.getoption(name, None) for name in _PRINTS_ONLY)


_PRINTS_ONLY = (
    *("help", "version", "markers", "showfixtures", "show_fixtures_per_test", "collectonly"),
    *("cacheshow", "setupplan"),
)


def is_used(config: pytest.Config, items: Iterable[pytest.Item]) -> bool:
    """Whether a session uses this plugin, as far as its collected tests show.

    Ranks have to decide alike. So a test file that one of them could not collect counts where it
    names a fixture or marker of ours: other ranks may have collected it, and wait for this one.
    """
    if runs_no_test(config):
        return False
    if launcher_of(config) is None:
        return _is_used_by(items)
    if is_worker(config):
        return False  # no rank: our fixtures fail in it
    return _is_used_by(items) or any(
        _is_named_in(error.path) for error in collection_errors(config)
    )


def _is_used_by(items: Iterable[pytest.Item]) -> bool:
    """Whether any of these tests uses a fixture or a marker of this plugin."""
    return any(
        not FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
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
    return _NAMES_OF_OURS.search(text) is not None


def collection_errors(config: pytest.Config) -> list[CollectionError]:
    """Return what this rank could not collect so far; pytest's hook adds to it."""
    return config.stash.setdefault(_COLLECTION_ERRORS, [])
