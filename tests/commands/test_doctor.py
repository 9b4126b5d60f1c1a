"""`--mlps-doctor`: a line for each check, and an exit status."""

from __future__ import annotations

import pytest

from mlpstorage_bench.doctor import launching
from mlpstorage_bench.errors import LaunchError
from mlpstorage_bench.options.settings import RESULTS_DIR_OPTION

SUBJECTS = (
    *("version", "launcher", "MPI library", "processors", "memory", "locked memory", "open files"),
    *("AIO", "io_uring", "huge pages", "clock", "wall clock", "cache directory", "direct I/O"),
    *("flushes", "audit", "space", "results", "extras"),
)


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no launcher be found: tests/doctor/test_launching.py has those."""

    def refuse(given: str | None) -> str:
        raise LaunchError(f"No mpirun ({given})")

    monkeypatch.setattr(launching, "find_binary", refuse)
    monkeypatch.setattr(launching, "_library", lambda: "Open MPI v5.0.11")


@pytest.mark.starts_process
def test_doctor_prints_a_line_for_each_check_and_leaves_nothing(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("raise RuntimeError('no conftest takes part')")
    before = sorted(pytester.path.rglob("*"))
    result = pytester.runpytest("--mlps-doctor")
    assert result.ret == pytest.ExitCode.OK
    *lines, last = result.outlines
    assert [line[9:].split("  ")[0] for line in lines] == [*SUBJECTS]
    assert {line.split()[0] for line in lines} <= {"ok", "note"}
    assert last.startswith("no problems, ")
    assert sorted(pytester.path.rglob("*")) == before


@pytest.mark.starts_process
def test_problem_makes_the_status_1(pytester: pytest.Pytester) -> None:
    pytester.makefile("", results="a file")
    result = pytester.runpytest(
        *("--mlps-doctor", f"{RESULTS_DIR_OPTION}=results/here", "--mlps-num-processes=2"),
        "--mlps-set=storage_capacity_gb=1e-6",
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines_random(
        [
            "problem  launcher         No mpirun (None)",
            "problem  space            workload 1: * (and * more). pytest --mlps-datasize *",
            "problem  results          */results is a file. Choose another directory with *",
            "3 problems, *",
        ]
    )


def test_unusable_option_is_a_usage_error_before_any_check(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--mlps-doctor", "--mlps-profile=none")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.outlines == []
    result.stderr.fnmatch_lines(["ERROR: --mlps-profile: got 'none'; accepted: *"])
