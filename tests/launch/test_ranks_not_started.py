"""Launchers that start no rank: the message has the next step, with the launchers themselves."""

from __future__ import annotations

import os

import pytest

from mlpstorage_bench.launch.launchers.installed import find_binary, identify
from mlpstorage_bench.process.stderr import ABORT_STATUS

pytestmark = [pytest.mark.launches_mpi, pytest.mark.long]


@pytest.fixture(autouse=True)
def _open_mpi(pytester: pytest.Pytester) -> None:
    """Make a test that would run; skip where the launcher is another MPI's."""
    title = identify(find_binary(None)).title
    if not title.startswith("Open MPI"):
        pytest.skip(f"needs Open MPI's mpirun; found {title}")
    pytester.makepyfile("def test_it(mlps_run): pass")


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone is refused")
def test_root_is_refused_with_the_option_to_add(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--mlps-num-processes=2")
    assert result.ret == ABORT_STATUS
    result.stderr.fnmatch_lines(
        ["mlpstorage: no rank started; hosts requested: localhost; *add --mlps-allow-run-as-root.*"]
    )


def test_host_that_cannot_be_reached_is_named_with_the_check(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess(
        "--mlps-hosts=nowhere.invalid", "--mlps-allow-run-as-root"
    )
    assert result.ret == ABORT_STATUS
    refused = "mlpstorage: no rank started; hosts requested: nowhere.invalid; *"
    check = "Check that each host can be reached without a password (ssh nowhere.invalid true), *"
    result.stderr.fnmatch_lines([f"{refused}{check}--mlps-doctor *"])
