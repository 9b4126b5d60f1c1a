"""Order of process exits, with and without process descriptors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mlpstorage_bench.process.exits import ExitWatcher

pytestmark = pytest.mark.starts_process


@contextmanager
def watched(*processes: subprocess.Popen[bytes]) -> Iterator[ExitWatcher]:
    """Watch the processes, numbered in order."""
    event = os.eventfd(0)
    exits = ExitWatcher(event)
    for number, process in enumerate(processes):
        exits.watch(number, process.pid)
    try:
        yield exits
    finally:
        exits.close()
        os.close(event)


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [subprocess.Popen(["/bin/sleep", "600"]) for _ in range(3)]
    yield started
    for process in started:
        process.kill()
        process.wait()


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def test_exits_between_polls_are_reported_in_order(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    with watched(*sleepers) as exits:
        for number in (2, 0, 1):
            end(sleepers[number])
        exits.wait(60)
        assert exits.take_exits() == [(2,), (0,), (1,)]
        assert exits.take_exits() == []


def test_exits_before_watching_are_reported_together(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    sleepers[1].kill()
    os.waitid(os.P_PID, sleepers[1].pid, os.WEXITED | os.WNOWAIT)  # it stays as a zombie
    end(sleepers[2])
    with watched(*sleepers) as exits:
        end(sleepers[0])
        exits.wait(60)
        assert exits.take_exits() == [(1, 2), (0,)]


def test_processes_are_watched_without_descriptors() -> None:
    """A low descriptor limit replaces a kernel without process descriptors."""
    code = """if True:
        import os, resource, subprocess
        from mlpstorage_bench.process.exits import ExitWatcher
        sleepers = [subprocess.Popen(["/bin/sleep", "600"]) for _ in range(3)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        exits = ExitWatcher(os.eventfd(0))
        for number, process in enumerate(sleepers):
            exits.watch(number, process.pid)
        sleepers[0].kill()
        sleepers[2].kill()
        for number in (0, 2):
            sleepers[number].wait()
        exits.wait(60)
        assert exits.take_exits() == [(0, 2)]
        sleepers[1].kill()
        while not (died := exits.take_exits()):
            exits.wait(60)
        assert died == [(1,)], "a zombie counts as exited"
        sleepers[1].wait()
        exits.close()
    """
    subprocess.run([sys.executable, "-c", code], check=True)
