"""End of a session of several ranks if one exits, dies or collects different tests."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable

import pytest

from tests.mpis import MPIS
from tests.session.test_interrupted import IN_A_LOCK
from tests.variants import first_of

RunRanks = Callable[..., pytest.RunResult]
pytestmark = pytest.mark.launches_mpi

JOINED = ("-o", "mlps_mpi=on")
"""Arguments that make the ranks join for tests that do not use the plugin."""


@pytest.mark.long
@pytest.mark.parametrize("leave", first_of("skip", "xfail"))
def test_skip_on_one_rank_with_others_in_a_raw_mpi_barrier_aborts_all(
    pytester: pytest.Pytester, run_ranks: RunRanks, leave: str
) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        def test_raw(mpi_comm):
            if mpi_comm.rank == 1:
                pytest.{leave}("no device here")
            mpi_comm.mpi4py.Barrier()
        """
    )
    result = run_ranks(3, "--mlps-grace=1")
    assert result.ret == 86
    result.stderr.fnmatch_lines(["*test_raw was skipped on rank 1 on *within 1 s*"])
    assert "no device here" in result.stderr.str()


def test_different_collections_are_a_usage_error_that_names_the_ranks(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile(
        """
        import os

        def test_everywhere():
            pass

        if os.environ["OMPI_COMM_WORLD_RANK"] == "1":
            def test_only_on_rank_1():
                pass
        """
    )
    result = run_ranks(3, *JOINED)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: The ranks did not collect the same tests*",
            "rank 1 on *:",
            "*collected there, not on rank 0: *::test_only_on_rank_1",
        ]
    )
    assert result.stderr.str().count("did not collect the same tests") == 1


def test_collection_error_on_one_rank_is_a_usage_error_that_shows_it(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile(
        """
        import os

        if os.environ["OMPI_COMM_WORLD_RANK"] == "1":
            raise ImportError("libfancy is missing on this host")

        def test_something():
            pass
        """
    )
    result = run_ranks(2, *JOINED)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["rank 1 on *:", "*libfancy is missing on this host*"])


@pytest.mark.long
def test_collection_error_on_all_ranks_is_reported_once(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile("raise ImportError('libfancy is missing everywhere')")
    result = run_ranks(2, *JOINED)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert result.stdout.str().count("E   ImportError: libfancy is missing everywhere") == 1
    assert "did not collect the same tests" not in result.stderr.str()


@pytest.mark.parametrize(
    ("leave", "status"),
    first_of(
        pytest.param("raise KeyboardInterrupt", 2, id="interrupt"),
        pytest.param("pytest.exit('enough', returncode=3)", 3, id="exit"),
    ),
)
@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.failure_matrix), 1])
def test_rank_that_exits_ends_the_session_on_all_with_its_status(
    pytester: pytest.Pytester, run_ranks: RunRanks, leave: str, status: int, rank: int
) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        def test_leaves(mpi_comm):
            if mpi_comm.rank == {rank}:
                {leave}
            mpi_comm.barrier()

        def test_never_runs(mpi_comm):
            open(f"ran-{{mpi_comm.rank}}", "w").close()
        """
    )
    result = run_ranks(3)
    assert result.ret == status
    assert not [*pytester.path.glob("ran-*")]
    if rank == 1:
        result.stdout.fnmatch_lines(["*rank 1 ended its session*"])


def test_killed_rank_ends_the_session_with_an_error(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile(
        """
        import os, signal

        def test_dies(mpi_comm):
            if mpi_comm.rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            mpi_comm.barrier()
        """
    )
    result = run_ranks(2)
    assert result.ret not in (0, 5)
    assert "1 passed" not in result.stdout.str()


def test_usage_error_is_printed_once(pytester: pytest.Pytester, run_ranks: RunRanks) -> None:
    pytester.makepyfile("def test_something(): pass")
    result = run_ranks(3, "--mlps-hosts=elsewhere1,elsewhere2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stderr.str()
    assert text.count("ERROR: --mlps-hosts: got 'elsewhere1,elsewhere2'; accepted: the hosts") == 1


@pytest.mark.long
def test_more_ranks_than_the_given_number_are_a_usage_error(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile("def test_something(): pass")
    result = run_ranks(2, "--mlps-num-processes=4")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --mlps-num-processes: got 4; accepted: 2*"])


@pytest.mark.long
def test_local_run_under_a_launcher_is_a_usage_error(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile("def test_something(): pass")
    result = run_ranks(2, "--mlps-exec-type=local")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --mlps-exec-type: got 'local'; accepted: mpi*"])


@pytest.mark.long
def test_internal_error_on_another_rank_is_printed_and_ends_the_session(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makeconftest(
        """
        import os

        def pytest_runtest_logstart():
            if os.environ["OMPI_COMM_WORLD_RANK"] == "1":
                raise RuntimeError("a plugin broke")
        """
    )
    pytester.makepyfile("def test_something(mpi_comm): mpi_comm.barrier()")
    result = run_ranks(3)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stderr.fnmatch_lines(["*INTERNALERROR on rank 1 on *: RuntimeError: a plugin broke*"])


def test_interrupt_on_one_rank_ends_a_window_of_the_others(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makeconftest(IN_A_LOCK.format(signal="SIGINT"))
    pytester.makepyfile(
        """
        import threading

        def test_run(kvcache, mpi_comm):
            if mpi_comm.rank == 0:
                threading.Condition.__enter__ = threading.Condition.__enter__.__globals__["enter"]
            kvcache.run(1, duration=300, write_limit_gb=None, storage_capacity_gb=0.2)
        """
    )
    result = run_ranks(2, "--mlps-results-dir=results")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert not (pytester.path / "mlps-cache").exists()


@pytest.mark.long
def test_interrupted_run_records_its_status_before_the_final_barrier(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    """A launcher that receives a stop signal may kill rank 0 while it waits for the others."""
    pytester.makepyfile(
        """
        import os, signal, time

        def test_long(mpi_comm, mlps_run):
            if mpi_comm.rank == 0:
                raise KeyboardInterrupt
            (metadata,) = mlps_run.directory.glob("*_metadata.json")
            while '"status": "interrupted"' not in metadata.read_text():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    run_ranks(2, "--mlps-results-dir=results", "--mlps-grace=100")
    (metadata,) = pytester.path.rglob("*_metadata.json")
    content = json.loads(metadata.read_text())
    assert content["mlpstorage"]["status"] == "interrupted"
    assert content["mlpstorage"]["exit_status"] == pytest.ExitCode.INTERRUPTED


INTERRUPT, PASS = ("raise KeyboardInterrupt", 2, "interrupted"), ("pass", 0, "passed")
ALWAYS = (("open mpi 5", 0, INTERRUPT),)


@pytest.mark.long
@pytest.mark.parametrize(
    ("mpi_name", "rank", "how"),
    [
        pytest.param(*one, marks=[] if one in ALWAYS else [pytest.mark.failure_matrix])
        for one in itertools.product(("open mpi 5", "mpich"), (0, 1), (INTERRUPT, PASS))
    ],
)
def test_signal_during_the_session_end_does_not_interrupt_it(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    mpi_name: str,
    rank: int,
    how: tuple[str, int, str],
) -> None:
    """A launcher may forward Ctrl-C to a rank after another has ended its session because of it."""
    leave, status, run_status = how
    mpi = MPIS[mpi_name]()
    for name, value in mpi.environment.items():
        monkeypatch.setenv(name, value)
    pytester.makeconftest(
        f"""
        import atexit, os, signal

        def stop():
            own = os.environ.get("OMPI_COMM_WORLD_RANK", os.environ.get("PMI_RANK"))
            if own == "{rank}":
                for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGTERM):
                    os.kill(os.getpid(), number)

        atexit.register(stop)

        def pytest_sessionfinish():
            stop()

        def pytest_terminal_summary():
            stop()

        def pytest_unconfigure():
            stop()
        """
    )
    pytester.makepyfile(
        f"""
        def test_leaves(mpi_comm, mlps_run):
            if mpi_comm.rank != {rank}:
                {leave}
            mpi_comm.barrier()
        """
    )
    switches = ["--mlps-num-processes=2", *mpi.switches, "--mlps-grace=60"]
    result = pytester.run(
        *(sys.executable, "-m", "pytest", *switches, "--mlps-results-dir=results"), timeout=120
    )
    assert result.ret == status
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert "did not report the session's end" not in result.stderr.str()
    (metadata,) = pytester.path.rglob("*_metadata.json")
    assert json.loads(metadata.read_text())["mlpstorage"]["status"] == run_status
