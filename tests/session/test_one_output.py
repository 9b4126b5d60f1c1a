"""Output of sessions over ranks: only rank 0 writes files and tables."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.variants import first_of

RunRanks = Callable[..., pytest.RunResult]
pytestmark = pytest.mark.launches_mpi


def test_benchmarks_with_collectives_finish_with_equal_rounds_and_one_file(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile(
        """
        def test_calibrated(benchmark, mpi_comm):
            benchmark(mpi_comm.barrier)
            rounds = mpi_comm.allgather(benchmark.stats.stats.rounds)
            assert len(set(rounds)) == 1

        def test_pedantic(benchmark, mpi_comm):
            benchmark.pedantic(mpi_comm.barrier, rounds=7)
        """
    )
    result = run_ranks(
        3, "--benchmark-json=out.json", "--benchmark-autosave", "--benchmark-max-time=0.1"
    )
    assert result.ret == 0
    result.assert_outcomes(passed=2)
    document = json.loads((pytester.path / "out.json").read_text())
    assert [b["name"] for b in document["benchmarks"]] == ["test_calibrated", "test_pedantic"]
    assert len(list((pytester.path / ".benchmarks").rglob("*.json"))) == 1
    assert result.stdout.str().count("Name (time in") == 1


def test_other_ranks_are_silent(pytester: pytest.Pytester, run_ranks: RunRanks) -> None:
    pytester.makepyfile("def test_talks(mpi_comm): print(f'hello from {mpi_comm.rank}')")
    result = run_ranks(3, "-s", "-q")
    assert result.ret == 0
    assert "hello from 0" in result.stdout.str()
    assert result.stdout.str().count("hello from") == 1
    assert result.stdout.str().count("1 passed") == 1


@pytest.mark.long
@pytest.mark.parametrize("mode", first_of("auto", "on"))
def test_log_and_reports_are_those_of_rank_0(
    pytester: pytest.Pytester, run_ranks: RunRanks, mode: str
) -> None:
    pytester.makeconftest(
        """
        def pytest_addoption(parser):
            parser.addoption("--report-log", dest="report_log")

        def pytest_configure(config):
            if config.option.report_log:
                with open(config.option.report_log, "a") as report:
                    report.write("a session\\n")
        """
    )
    pytester.makeini(f"[pytest]\nmlps_mpi = {mode}\nlog_file = log.txt")
    pytester.makepyfile(
        """
        import logging

        def test_logs(mpi_comm):
            for number in range(20):
                logging.getLogger().warning("rank %d: %d", mpi_comm.rank, number)
            mpi_comm.barrier()
        """
    )
    assert run_ranks(2, "--report-log=report.txt").ret == 0
    log = (pytester.path / "log.txt").read_text()
    assert [log.count("rank 0: "), log.count("rank 1: ")] == [20, 0]
    if mode == "on":  # ranks that join later have read the option before
        assert (pytester.path / "report.txt").read_text() == "a session\n"


@pytest.mark.long
def test_pytest_mpi_works_with_the_plugin(pytester: pytest.Pytester, run_ranks: RunRanks) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.mpi(min_size=2)
        def test_marked(mpi_comm, mpi_tmp_path):
            assert len(set(mpi_comm.allgather(str(mpi_tmp_path)))) == 1

        @pytest.mark.mpi(min_size=3)
        def test_needs_more_ranks():
            raise AssertionError

        @pytest.mark.mpi_skip
        def test_not_under_mpi():
            raise AssertionError
        """
    )
    result = run_ranks(2)
    result.assert_outcomes(passed=1, skipped=2)
    assert result.ret == 0


@pytest.mark.long
@pytest.mark.parametrize("mode", first_of("on", "auto"))
def test_xdist_workers_in_ranks_are_refused(
    pytester: pytest.Pytester, run_ranks: RunRanks, mode: str
) -> None:
    """This includes sessions whose use of the plugin only the workers' collection shows."""
    pytester.makeconftest(
        """
        def pytest_addoption(parser):
            parser.addoption("--workers", dest="numprocesses", type=int)
        """
    )
    pytester.makepyfile("def test_something(mpi_comm): pass")
    result = run_ranks(2, "--workers=2", "-o", f"mlps_mpi={mode}")
    if mode == "on":
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["ERROR: -n (pytest-xdist)*"])
    else:
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.stdout.fnmatch_lines(["mpi_comm: -n (pytest-xdist) starts workers*"])
