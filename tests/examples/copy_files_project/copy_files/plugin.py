"""The fixture, which pytest finds by the entry point `pytest11`; it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mlpstorage_bench import fixture_of


@pytest.fixture
def copy_files(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[object]:
    """Copies files on all ranks: `copy_files.run(files=8)`."""
    yield from fixture_of(request, benchmark, "copy_files")
