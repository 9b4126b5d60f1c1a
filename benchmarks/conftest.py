"""Selection of benchmarks: those of storage by default, studies when named; studies' directory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.interference.loads import RANKS, check_no_ranks, is_ranks
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.storage.directory import check_cache_dir

HERE = Path(__file__).parent
STUDY = HERE / "test_interference.py"
STUDIES = frozenset({HERE / "harness", HERE / "interference", STUDY})
"""Studies of the harness, sides of the study of interference, and that study."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the study of interference."""
    group = parser.getgroup("study of interference")
    group.addoption(
        "--interference-pairs",
        type=int,
        default=1,
        metavar="N",
        help="runs together; each lies between two runs alone",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Keep the ranks of the study's sides from the session, whose types have no such parameter."""
    settings = config.getoption("mlps_set") or []
    if STUDY not in named_paths(config):
        try:
            check_no_ranks(settings)
        except InvalidInputError as error:
            raise pytest.UsageError(str(error)) from error
    else:
        config.stash[RANKS] = [one for one in settings if is_ranks(one)]
        config.option.mlps_set = [one for one in settings if not is_ranks(one)] or None


def named_paths(config: pytest.Config) -> list[Path]:
    """Return the files and directories that the command line names."""
    return [Path(argument.partition("::")[0]).resolve() for argument in config.args]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out studies unless they are named: `pytest benchmarks/` measures storage alone."""
    if collection_path not in STUDIES or any(
        path.is_relative_to(collection_path) for path in named_paths(config)
    ):
        return None
    return True


@pytest.fixture
def study_dir(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A new directory in --mlps-cache-dir, removed after the test."""
    cache_dir = Path(request.config.getoption("--mlps-cache-dir") or "mlps-cache")
    check_cache_dir(cache_dir)
    is_new = not cache_dir.exists()
    cache_dir.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="study-", dir=cache_dir)).resolve()
    yield directory
    shutil.rmtree(directory)
    if is_new:
        cache_dir.rmdir()
