"""Progress of sessions whose output is no terminal, and in a terminal of tmux."""

from __future__ import annotations

import pytest

from tests.conftest import RunRanks
from tests.session.tiny import TINY

A_RUN = "def test_run(kvcache): kvcache.run(1)"
OFTEN = "--mlps-progress=lines:0.000001"


def test_lines_say_where_the_run_is(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(A_RUN)
    result = pytester.runpytest(*TINY, OFTEN, "--mlps-cache-dir=cache")
    result.assert_outcomes(passed=1)
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


@pytest.mark.parametrize("silent", ["--mlps-progress=off", "-q"])
def test_progress_can_be_silenced(pytester: pytest.Pytester, silent: str) -> None:
    pytester.makepyfile(A_RUN)
    result = pytester.runpytest(*TINY, OFTEN, silent, "--mlps-cache-dir=cache")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*trial 1 of 2*")


@pytest.mark.launches_mpi
def test_ranks_of_a_users_launcher_print_lines_once(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile(A_RUN)
    result = run_ranks(2, *TINY, OFTEN, "--mlps-cache-dir=cache")
    assert result.ret == 0
    lines = [line for line in result.outlines if "trial 1 of 2: drain" in line]
    assert len(lines) == 1
    assert "\x1b" not in result.stdout.str()


@pytest.mark.parametrize("value", ["on", "lines:", "lines:0", "live:5", "lines:x"])
def test_other_values_are_usage_errors(pytester: pytest.Pytester, value: str) -> None:
    result = pytester.runpytest(f"--mlps-progress={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--mlps-progress*accepted: *"])
