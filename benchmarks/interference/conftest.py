"""Order of two sides: one creates a file when its window opens, the other waits for the file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mlpstorage_bench.progress.state import Progress

POLL_S = 0.02
LONGEST_WAIT_S = 600.0
"""Wait after which a side gives up: the study that would end it may have been killed."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options by which the study connects its sides."""
    group = parser.getgroup("side of a study of interference")
    group.addoption("--side-opens", type=Path, help="file to create when the window is open")
    group.addoption("--side-awaits", type=Path, help="file to wait for before the case begins")


def pytest_mlps_progress(config: pytest.Config, progress: Progress) -> None:
    """Create the file of --side-opens, on rank 0, once the window is open."""
    path: Path | None = config.getoption("--side-opens")
    if path is not None and progress.phase == "window":
        path.touch()


@pytest.fixture
def awaited(request: pytest.FixtureRequest) -> None:
    """Wait for the file of --side-awaits, on every rank."""
    path: Path | None = request.config.getoption("--side-awaits")
    if path is None:
        return
    gives_up_at = time.monotonic() + LONGEST_WAIT_S
    while not path.exists():
        if time.monotonic() > gives_up_at:
            pytest.fail(f"{path} was not created within {LONGEST_WAIT_S:.0f} s", pytrace=False)
        time.sleep(POLL_S)
