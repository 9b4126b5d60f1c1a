"""pytest-mpi: turned on under MPI, and kept out of the summary."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mlpstorage_bench.session.pytest_internals.command_line import words_given

_NEEDS_WITH_MPI = "need --with-mpi option to run"
"""pytest-mpi's reason to skip a test that is marked `mpi`."""
_MPI_MARKERS = ("mpi_skip", "mpi_xfail", "mpi_break")


def let_pytest_mpi_run(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Turn pytest-mpi on, also for tests that it has already marked as skipped."""
    config.option.with_mpi = True
    skipped = [item for item in items if "mpi" in item.keywords and _lift_skip(item)]
    if not skipped and not any(name in item.keywords for item in items for name in _MPI_MARKERS):
        return
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__module__ == "pytest_mpi":
            plugin.pytest_collection_modifyitems(config, list(items))


def hide_mpi_information(config: pytest.Config) -> None:
    """Keep pytest-mpi's section out of the summary, unless the user has asked for that plugin.

    Call it before the summary.
    """
    asked = {"--with-mpi", "--only-mpi"} & {*words_given(config)}
    for plugin in () if asked else config.pluginmanager.get_plugins():
        if type(plugin).__module__ == "pytest_mpi":
            plugin._is_testing_mpi = False  # noqa: SLF001 - no public way


def _lift_skip(item: pytest.Item) -> bool:
    """Remove pytest-mpi's skip marker from a test; return whether there was one."""
    marks = [mark for mark in item.own_markers if mark.kwargs.get("reason") == _NEEDS_WITH_MPI]
    for mark in marks:
        item.own_markers.remove(mark)
    return bool(marks)
