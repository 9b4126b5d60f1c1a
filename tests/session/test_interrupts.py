"""Interrupted and killed runs: the status is recorded, and cache files are removed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.variants import first_of

pytestmark = pytest.mark.starts_process

PROJECT = Path(__file__).parents[2]
PYTEST = [sys.executable, "-m", "pytest"]
AS_ROOT = ["--allow-run-as-root"] if os.geteuid() == 0 else []
MPIRUN = [str(Path(sys.executable).parent / "mpirun"), "-n", "2", "--oversubscribe", *AS_ROOT]
PATIENCE_S = 60


class LongRun:
    """A started run that would take minutes."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.cache = folder / "cache"
        self.results = folder / "results"
        self.process = subprocess.Popen(
            [
                *(
                    *command,
                    "benchmarks/test_kvcache.py",
                    "--mlps-set=duration=300",
                    "--mlps-set=warmup=0",
                ),
                *("--mlps-set=write_limit_gb=10", "--mlps-set=storage_capacity_gb=0.2"),
                *(f"--mlps-cache-dir={self.cache}", f"--mlps-results-dir={self.results}"),
            ],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for_files(self, ranks: int) -> None:
        """Wait until every rank has cache files, and the run its metadata: probes come before."""
        folders = [self.cache / f"rank_{rank}" for rank in range(ranks)]
        wait_until(lambda: any(self.results.rglob("*_metadata.json")))
        wait_until(lambda: all(any(folder.glob("[!.]*.kv")) for folder in folders))

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and the output."""
        output, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, output

    def metadata(self) -> dict[str, Any]:
        (path,) = self.results.rglob("*_metadata.json")
        content: dict[str, Any] = json.loads(path.read_text())
        return content

    def ranks(self) -> list[psutil.Process]:
        """The processes of the ranks, recognised by pytest in their command."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        commands = [(child, child.cmdline()) for child in children]
        return [
            child
            for child, words in commands
            if words[1:2] in (["-m"], ["-c"]) and "pytest" in words[2]
        ]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[list[str]], LongRun]]:
    """Start a long run; kill its processes after the test."""
    with ended() as started:

        def start_run(command: list[str]) -> LongRun:
            started.append(LongRun(tmp_path, command))
            return started[-1]

        yield start_run


@contextmanager
def ended() -> Iterator[list[LongRun]]:
    """Yield a list for runs; kill their processes at the end."""
    started: list[LongRun] = []
    yield started
    for run in started:
        if run.process.poll() is None:
            for child in psutil.Process(run.process.pid).children(recursive=True):
                child.kill()
            run.process.kill()
            run.process.communicate()


@pytest.mark.parametrize(
    "number",
    first_of(pytest.param(signal.SIGINT, id="ctrl-c"), pytest.param(signal.SIGTERM, id="sigterm")),
)
def test_interrupted_local_run_keeps_its_status_and_no_cache_files(
    start: Callable[[list[str]], LongRun], number: signal.Signals
) -> None:
    run = start([*PYTEST])
    run.wait_for_files(1)
    run.process.send_signal(number)
    status, output = run.end()
    assert status == pytest.ExitCode.INTERRUPTED, output
    assert run.metadata()["mlpstorage"]["status"] == "interrupted"
    assert not run.cache.exists()


@pytest.mark.launches_mpi
def test_ctrl_c_at_the_parent_ends_all_ranks_in_order(
    start: Callable[[list[str]], LongRun],
) -> None:
    run = start([*PYTEST, "--mlps-num-processes=2", "--mlps-oversubscribe", *_long(AS_ROOT)])
    run.wait_for_files(2)
    ranks = run.ranks()
    assert len(ranks) == 2
    run.process.send_signal(signal.SIGINT)
    status, output = run.end()
    assert status == pytest.ExitCode.INTERRUPTED, output
    assert run.metadata()["mlpstorage"]["status"] == "interrupted"
    assert output.count("KeyboardInterrupt") > 0
    wait_until(lambda: not any(rank.is_running() for rank in ranks))
    assert not run.cache.exists()


@pytest.mark.long
@pytest.mark.launches_mpi
def test_repeated_ctrl_c_ends_the_run_like_one(
    start: Callable[[list[str]], LongRun],
) -> None:
    run = start([*PYTEST, "--mlps-num-processes=2", "--mlps-oversubscribe", *_long(AS_ROOT)])
    run.wait_for_files(2)
    ranks = run.ranks()
    while run.process.poll() is None:
        run.process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    status, output = run.end()
    assert status == pytest.ExitCode.INTERRUPTED, output
    assert run.metadata()["mlpstorage"]["status"] == "interrupted"
    wait_until(lambda: not any(rank.is_running() for rank in ranks))
    wait_until(lambda: not any(run.cache.glob("rank_*")))


@pytest.mark.long
@pytest.mark.launches_mpi
def test_ctrl_c_at_mpirun_leaves_no_cache_files(start: Callable[[list[str]], LongRun]) -> None:
    run = start([*MPIRUN, *PYTEST])
    run.wait_for_files(2)
    ranks = run.ranks()
    run.process.send_signal(signal.SIGINT)
    status, _ = run.end()
    assert status != 0
    wait_until(lambda: not any(rank.is_running() for rank in ranks))
    wait_until(lambda: not any(run.cache.glob("rank_*")))


@pytest.mark.launches_mpi
def test_killed_rank_fails_the_run_and_leaves_no_cache_files(
    start: Callable[[list[str]], LongRun],
) -> None:
    run = start([*PYTEST, "--mlps-num-processes=2", "--mlps-oversubscribe", *_long(AS_ROOT)])
    run.wait_for_files(2)
    run.ranks()[-1].kill()
    status, _ = run.end()
    assert status not in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
    wait_until(lambda: not any(run.cache.glob("rank_*")))


def test_killed_local_run_is_listed_as_died(
    start: Callable[[list[str]], LongRun],
) -> None:
    run = start([*PYTEST])
    run.wait_for_files(1)
    run.process.kill()
    run.end()
    wait_until(lambda: not any(run.cache.glob("rank_*")))
    listed = subprocess.run(
        [*PYTEST, "--mlps-history", f"--mlps-results-dir={run.results}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert " died" in listed.stdout


def _long(flags: list[str]) -> list[str]:
    return [flag.replace("--", "--mlps-", 1) for flag in flags]
