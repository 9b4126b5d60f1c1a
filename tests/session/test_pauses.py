"""Pauses that something ends: an interrupt, a rank that dies; and the time limit without them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.session.test_interrupts import AS_ROOT, PYTEST, LongRun, ended, wait_until
from tests.session.tiny import TINY
from tests.variants import first_of

PAUSE = "--mlps-set=delay_before_trial=600"
TWO_RANKS = [
    *("--mlps-num-processes=2", "--mlps-oversubscribe"),
    *(flag.replace("--", "--mlps-", 1) for flag in AS_ROOT),
]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[list[str]], LongRun]]:
    """Start a run whose first trial is preceded by a pause of ten minutes."""
    with ended() as started:

        def start_run(options: list[str]) -> LongRun:
            started.append(LongRun(tmp_path, [*PYTEST, *options, PAUSE, "-k", "workload and 1"]))
            return started[-1]

        yield start_run


def wait_for_pause(run: LongRun) -> str:
    """Return what was printed up to the line that announces the pause."""
    assert run.process.stdout is not None
    printed = ""
    for line in run.process.stdout:
        printed += line
        if "mlpstorage: pause of 10 min before trial 1 of workload 1, " in line:
            return printed
    raise AssertionError(printed)


@pytest.mark.starts_process
@pytest.mark.parametrize(
    "number", first_of(signal.SIGINT, signal.SIGTERM), ids=["ctrl-c", "sigterm"]
)
def test_interrupt_during_a_pause_ends_the_run_as_interrupted(
    start: Callable[[list[str]], LongRun], number: signal.Signals
) -> None:
    run = start([])
    wait_for_pause(run)
    run.process.send_signal(number)
    status, output = run.end()
    assert status == pytest.ExitCode.INTERRUPTED, output
    assert run.metadata()["mlpstorage"]["status"] == "interrupted"
    assert not run.cache.exists()


@pytest.mark.long
@pytest.mark.launches_mpi
def test_ctrl_c_during_a_pause_of_ranks_ends_all_in_order(
    start: Callable[[list[str]], LongRun],
) -> None:
    run = start(TWO_RANKS)
    wait_for_pause(run)
    run.process.send_signal(signal.SIGINT)
    status, output = run.end()
    assert status == pytest.ExitCode.INTERRUPTED, output
    assert run.metadata()["mlpstorage"]["status"] == "interrupted"
    wait_until(lambda: not any(run.cache.glob("rank_*")))


@pytest.mark.long
@pytest.mark.launches_mpi
@pytest.mark.parametrize("rank", first_of(1, 0))
def test_rank_that_dies_during_a_pause_ends_the_run(
    start: Callable[[list[str]], LongRun], rank: int
) -> None:
    run = start(TWO_RANKS)
    wait_for_pause(run)
    run.ranks()[rank].kill()
    status, output = run.end()
    assert status not in (0, pytest.ExitCode.NO_TESTS_COLLECTED), output
    assert run.metadata()["mlpstorage"]["status"] in ("failed", "died", "running"), output
    wait_until(lambda: not any(run.cache.glob("rank_*")))


@pytest.mark.long
@pytest.mark.launches_mpi
def test_rank_that_fails_during_a_pause_ends_it_on_all_ranks(
    pytester: pytest.Pytester, run_ranks: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(
        """
        import os, time, types

        from mlpstorage_bench.trial import sequence

        if os.environ["OMPI_COMM_WORLD_RANK"] == "1":

            def fail(seconds):
                raise RuntimeError("rank 1 fails in its pause")

            sequence.time = types.SimpleNamespace(**{**vars(time), "sleep": fail})
        """
    )
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = run_ranks(2, *TINY, PAUSE, "--mlps-grace=20")
    result.assert_outcomes(failed=1)
    assert "rank 1 fails in its pause" in result.stdout.str()


def test_pauses_do_not_count_for_the_time_limit(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        from mlpstorage_bench.mpi.watchdog import Watchdog

        extended = []
        extend = Watchdog.extend
        Watchdog.extend = lambda self, seconds: (extended.append(seconds), extend(self, seconds))

        def pytest_sessionfinish():
            print(f"\\nextended by {extended}")
        """
    )
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    delays = ("before_trial=0.1", "after_trial=0.2")
    result = pytester.runpytest_subprocess(
        *(*TINY, "--mlps-set=storage=null", "--mlps-timeout=600"),
        *(f"--mlps-set=delay_{delay}" for delay in delays),
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["extended by [[]0.1, 0.2, 0.1, 0.2[]]"])
