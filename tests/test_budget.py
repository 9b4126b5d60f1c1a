"""Rules of tests/budget.py, on sessions of pytest with small limits."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.budget import TestBudget
from tests.starting import names_subprocess

SLEEPER = "import subprocess, sys\ndef start(): subprocess.run([sys.executable, '-c', ''])\n"
SPINNER = (
    "import time\n"
    "def spin():\n"
    "    start = time.process_time()\n"
    "    while time.process_time() - start < 0.2: pass\n"
)


def run(
    pytester: pytest.Pytester, source: str, *, limits_time: bool, selection: str = ""
) -> pytest.RunResult:
    pytester.makeini(
        "[pytest]\nmarkers =\n slow\n starts_process\n launches_mpi\n hosts\n"
        " hosts_matrix\n failure_matrix"
    )
    pytester.makepyfile(f"import pytest\n{source}")
    budget = TestBudget(limits_time=limits_time, limit_s=0.1)
    return pytester.runpytest_inprocess("-m", selection, plugins=[budget])


def test_process_without_marker_fails_the_test(pytester: pytest.Pytester) -> None:
    result = run(pytester, f"{SLEEPER}\ndef test_one(): start()", limits_time=False)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*started a process (subprocess.Popen) and is not marked so*"])


def test_process_with_marker_passes(pytester: pytest.Pytester) -> None:
    marked = f"{SLEEPER}\n@pytest.mark.starts_process\ndef test_one(): start()"
    run(pytester, marked, limits_time=True).assert_outcomes(passed=1)


@pytest.mark.parametrize("marker", ["launches_mpi", "hosts", "hosts_matrix", "failure_matrix"])
def test_markers_of_ranks_and_hosts_imply_a_process(pytester: pytest.Pytester, marker: str) -> None:
    source = f"@pytest.mark.{marker}\ndef test_one(): pass"
    result = run(pytester, source, limits_time=False, selection="not starts_process")
    result.assert_outcomes(deselected=1)


def test_fixture_that_starts_processes_implies_the_marker(pytester: pytest.Pytester) -> None:
    source = "@pytest.fixture\ndef memory_group(): pass\ndef test_one(memory_group): pass"
    result = run(pytester, source, limits_time=False, selection="not starts_process")
    result.assert_outcomes(deselected=1)


def run_true() -> None:
    subprocess.run(["/bin/true"], check=True)


class Runner:
    def run(self) -> None:
        run_true()


def calls_through_a_class() -> None:
    Runner().run()


def calls_in_a_nested_function() -> Callable[[], None]:
    def nested() -> None:
        run_true()

    return nested


def calls_nothing() -> str:
    return SLEEPER.upper()


@pytest.mark.parametrize("function", [run_true, calls_through_a_class, calls_in_a_nested_function])
def test_code_that_reaches_subprocess_is_found(function: Callable[[], object]) -> None:
    assert names_subprocess(function)


def test_code_that_does_not_reach_subprocess_is_not_found() -> None:
    assert not names_subprocess(calls_nothing)


def test_processor_time_beyond_the_limit_fails_the_test(pytester: pytest.Pytester) -> None:
    result = run(pytester, f"{SPINNER}\ndef test_one(): spin()", limits_time=True)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*s of processor time; at most 0.1 s without the marker slow*"])


def test_slow_test_may_exceed_the_limit(pytester: pytest.Pytester) -> None:
    slow = f"{SPINNER}\n@pytest.mark.slow\ndef test_one(): spin()"
    run(pytester, slow, limits_time=True).assert_outcomes(passed=1)


def test_sleep_counts_for_nothing(pytester: pytest.Pytester) -> None:
    source = "import time\ndef test_one(): time.sleep(0.3)"
    run(pytester, source, limits_time=True).assert_outcomes(passed=1)


def test_time_has_no_limit_outside_of_ci(pytester: pytest.Pytester) -> None:
    result = run(pytester, f"{SPINNER}\ndef test_one(): spin()", limits_time=False)
    result.assert_outcomes(passed=1)
