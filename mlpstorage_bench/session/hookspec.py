"""Hooks that plugins and conftests of users implement; docs/extending.md has an example of each.

An error of a hook is reported with the plugin's name, and does not end the session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mlpstorage_bench.metric.declaration import Measured
    from mlpstorage_bench.progress.state import Progress
    from mlpstorage_bench.session.run import Run

METRICS_HOOK, METADATA_HOOK = "pytest_mlps_metrics", "pytest_mlps_metadata"
PROGRESS_HOOK, RESULT_HOOK = "pytest_mlps_progress", "pytest_mlps_result"


@pytest.hookspec
def pytest_mlps_metrics(config: pytest.Config) -> Sequence[type[Measured]]:
    """Return classes that declare metrics in addition to the benchmark's own.

    Called on every rank, before tests are collected. What it returns is checked then; a mistake is
    a usage error.
    """
    raise NotImplementedError


@pytest.hookspec
def pytest_mlps_metadata(config: pytest.Config, run: Run) -> Mapping[str, object] | None:
    """Return facts about the run for its metadata, as JSON has them; None for none.

    Called on rank 0, when the run opens. They are kept as `mlpstorage.plugins.<plugin>`, without
    secrets.
    """
    raise NotImplementedError


@pytest.hookspec
def pytest_mlps_progress(config: pytest.Config, progress: Progress) -> None:
    """Receive the state of the run, once a second.

    Called on rank 0, on the thread that supervises the window: it has to return within
    milliseconds.
    """


@pytest.hookspec
def pytest_mlps_result(config: pytest.Config, run: Run, metadata: Mapping[str, object]) -> None:
    """Receive the metadata of the run as its file has them, at the end of the session.

    Called on rank 0, after all files of the run are written.
    """
