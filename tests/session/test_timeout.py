"""Time limits outside of tests: at the start, at collection, and at the session's end."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest

from tests.failures.scenario import GRACE_FOR_STACKS_S, STARTUP_S, TIMEOUT_S

RunRanks = Callable[..., pytest.RunResult]
pytestmark = pytest.mark.launches_mpi

LIMITS = (f"--mlps-timeout={TIMEOUT_S}", f"--mlps-grace={GRACE_FOR_STACKS_S}")


@pytest.mark.parametrize(
    ("conftest", "test", "step"),
    [
        ("", "time.sleep(600 * int(os.environ['OMPI_COMM_WORLD_RANK']))", "collection"),
        (
            "def pytest_sessionfinish(): time.sleep(600 * int(os.environ['OMPI_COMM_WORLD_RANK']))",
            *("", "the session's end"),
        ),
    ],
    ids=["collection", "end"],
)
@pytest.mark.failure_matrix
def test_hanging_rank_outside_of_tests_ends_the_session(
    pytester: pytest.Pytester, run_ranks: RunRanks, conftest: str, test: str, step: str
) -> None:
    pytester.makeconftest(f"import os, time\n{conftest}")
    pytester.makepyfile(f"import os, time\n{test}\ndef test_something(): pass")
    result = run_ranks(2, *LIMITS)
    assert result.ret == 86
    printed = result.stderr.str()
    assert (
        f"mlpstorage: {step} has taken longer than --mlps-timeout {TIMEOUT_S} s. Rank 1 on"
        in printed
    )
    assert "time.sleep(600" in printed


@pytest.mark.parametrize(
    "conftest",
    [
        "hang()",
        "def pytest_configure(): hang()",
    ],
    ids=["conftest", "its pytest_configure"],
)
@pytest.mark.failure_matrix
def test_hanging_start_of_a_rank_ends_the_session_at_the_startup_limit(
    pytester: pytest.Pytester, run_ranks: RunRanks, conftest: str
) -> None:
    pytester.makeconftest(
        f"""
import os, time

def hang():
    if os.environ["OMPI_COMM_WORLD_RANK"] == "1":
        time.sleep(600)

{conftest}
"""
    )
    pytester.makepyfile("def test_something(): pass")
    result = run_ranks(2, "-o", f"mlps_startup_limit={STARTUP_S}", "--mlps-grace=1")
    assert result.ret not in (0, 5)
    printed = result.stderr.str()
    assert re.search(r"Timeout \(0:00:\d\d\)!", printed)
    assert "in hang\n" in printed
    assert "passed" not in result.stdout.str()


@pytest.mark.failure_matrix
def test_collection_of_one_process_has_the_time_limit(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import time\ntime.sleep(600)")
    result = pytester.runpytest_subprocess(*LIMITS, timeout=90)
    assert result.ret == 86
    assert f"collection has taken longer than --mlps-timeout {TIMEOUT_S} s" in result.stderr.str()


@pytest.mark.failure_matrix
def test_limit_is_reported_with_closed_standard_input(pytester: pytest.Pytester) -> None:
    """With closed standard input, pytest opens a file of its own as descriptor 0."""
    pytester.makepyfile("import time\ndef test_long(mlps_run): time.sleep(600)")
    options = (*LIMITS, "--mlps-results-dir=results")
    result = pytester.run(
        *("/bin/sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-m", "pytest", *options),
        timeout=90,
    )
    assert result.ret == 86
    assert "test_long has taken longer than" in result.stderr.str()
    assert "time.sleep(600)" in result.stderr.str()
