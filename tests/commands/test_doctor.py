"""`--mlps-doctor`: a line for each check, and an exit status."""

from __future__ import annotations

import pytest

from mlpstorage_bench.benchmark_type.sizes import KnownCaseSize, SizeReport
from mlpstorage_bench.commands import doctor
from mlpstorage_bench.doctor import launching
from mlpstorage_bench.errors import LaunchError
from mlpstorage_bench.options.settings import RESULTS_DIR_OPTION
from mlpstorage_bench.units import GIB

SUBJECTS = (
    *("version", "launcher", "MPI library", "processors", "memory", "locked memory", "open files"),
    *(
        "io_uring",
        "linux_aio",
        "huge pages",
        "clock",
        "wall clock",
        "cache directory",
        "direct I/O",
    ),
    *("uncached I/O", "flushes", "audit", "space", "results", "extras"),
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


@pytest.mark.parametrize("evicts", [False, True])
def test_space_in_which_entries_are_evicted_is_named(*, evicts: bool) -> None:
    size = KnownCaseSize(
        "1", (), "m", 8, GIB, GIB, 2 * GIB, GIB, GIB, GIB, GIB, GIB, evicts, None, 1
    )
    report = SizeReport("quick", 42, "/mnt", [1], round(1.25 * GIB), None, (), [size])
    found = doctor._space(report)
    assert found.seen.startswith("profile quick keeps up to 1.00 GiB a host, for 1 rank; 1.2 GiB")
    assert ("entries are evicted, and hits fall" in found.seen) == evicts
