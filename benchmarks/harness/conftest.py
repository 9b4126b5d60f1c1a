"""Options of the studies of the harness, and the I/O mode of the storage under test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness.beside_fio import Conditions
from benchmarks.harness.flat_load import PAIRS
from benchmarks.harness.huge_pages import set_aside
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.units import MIB

FIO_MEMORY_BYTES = 16 * 4 * MIB + 4 * MIB
"""Sixteen blocks of 4 MiB, the most in flight, and what fio takes for their alignment."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the studies."""
    group = parser.getgroup("studies of the harness")
    group.addoption("--study-pairs", type=int, default=PAIRS, help="samples of each run")
    group.addoption("--study-io-threads", type=int, default=1, help="threads that serve the lanes")
    group.addoption("--study-quick", action="store_true", help="few cases, to see whether it runs")


@pytest.fixture
def conditions(request: pytest.FixtureRequest) -> Iterator[Conditions]:
    """The options, and huge pages for fio during the test, where it may have them."""
    options = request.config.option
    with set_aside(FIO_MEMORY_BYTES) as lacking:
        yield Conditions(options.study_pairs, options.study_io_threads, lacking)


@pytest.fixture
def io_mode(study_dir: Path) -> IoMode:
    """Direct if the directory supports it, else buffered."""
    return "direct" if probe_direct_io(study_dir).is_available else "buffered"
