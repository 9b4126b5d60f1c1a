"""Progress of sessions whose output is no terminal, and in a terminal of tmux."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import RunRanks, mpirun
from tests.session.tiny import TINY
from tests.variants import first_of

A_RUN = "def test_run(kvcache): kvcache.run(1)"
OFTEN = "--mlps-progress=lines:0.000001"


def test_lines_say_where_the_run_is(pytester: pytest.Pytester) -> None:
    others = "@pytest.mark.skip\ndef test_skipped(kvcache): pass\ndef test_plain(): pass"
    pytester.makepyfile(f"import pytest\n{A_RUN}\n{others}")
    result = pytester.runpytest(*TINY, OFTEN, "--mlps-cache-dir=cache")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "mlpstorage: case 1, trial 1 of 2: planning, about * left in all",
            "mlpstorage: case 1, trial 1 of 2: calibration, *",
            "mlpstorage: case 1, trial 1 of 2: window 0/60 s, *",
            "mlpstorage: case 1, trial 1 of 2: drain, *",
            "mlpstorage: case 1, trial 2 of 2: window 0/60 s, *",
        ]
    )
    assert "\x1b" not in result.stdout.str()


@pytest.mark.long
@pytest.mark.parametrize("option", first_of("--mlps-gate-selftest", "--benchmark-disable"))
def test_time_left_is_that_of_all_trials_that_are_to_run(
    pytester: pytest.Pytester, option: str
) -> None:
    """Each trial has a window of a minute, which 20 requests end."""
    trials, minutes = (1, 4) if option == "--mlps-gate-selftest" else (2, 2)
    pytester.makepyfile(f"{A_RUN}\ndef test_later(kvcache): kvcache.run(1)")
    result = pytester.runpytest(
        *TINY, OFTEN, option, f"--mlps-trials={trials}", "--mlps-cache-dir=cache"
    )
    place = "mlpstorage: test 1 of 2, case 1, trial 1 of *: planning"
    result.stdout.fnmatch_lines([f"{place}, about {minutes} min left in all"])


@pytest.mark.parametrize("silent", first_of("--mlps-progress=off", "-q"))
def test_progress_can_be_silenced(pytester: pytest.Pytester, silent: str) -> None:
    pytester.makepyfile(A_RUN)
    result = pytester.runpytest(*TINY, OFTEN, silent, "--mlps-cache-dir=cache")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*trial 1 of 2*")


@pytest.mark.long
@pytest.mark.launches_mpi
def test_ranks_of_a_users_launcher_print_lines_once(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile(A_RUN)
    result = run_ranks(2, *TINY, OFTEN, "--mlps-cache-dir=cache")
    assert result.ret == 0
    lines = [line for line in result.outlines if "trial 1 of 2: drain" in line]
    assert len(lines) == 1


@pytest.mark.long
@pytest.mark.launches_mpi
@pytest.mark.parametrize("joins", first_of("early", "late"))
def test_output_of_a_users_launcher_into_a_file_has_no_escape_byte(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, joins: str
) -> None:
    """Ranks of Open MPI have a pseudo-terminal all the same; pytester switches colors off."""
    monkeypatch.delenv("PY_COLORS")
    monkeypatch.setenv("TERM", "xterm")
    pytester.makepyfile("def test_run(mlps_run): pass\ndef test_other(): assert mlps_run")
    options = ["--mlps-results-dir=results"] if joins == "early" else []
    done = subprocess.run(
        [*mpirun(2), sys.executable, "-m", "pytest", *options],
        capture_output=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert b"1 failed, 1 passed" in done.stdout
    _, joined, after = done.stdout.rpartition(b"mlpstorage: 2 ranks")
    assert joined
    assert b"\x1b" not in (done.stdout if joins == "early" else after)


@pytest.mark.parametrize("value", ["on", "lines:", "lines:0", "live:5", "lines:x"])
def test_other_values_are_usage_errors(pytester: pytest.Pytester, value: str) -> None:
    result = pytester.runpytest(f"--mlps-progress={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--mlps-progress*accepted: *"])
