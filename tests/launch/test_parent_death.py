"""Ranks whose parent was killed, with its helper process killed or stopped as well."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mlpstorage_bench.launch import parent_death
from mlpstorage_bench.launch.environment import LAUNCH_ID_VARIABLE
from mlpstorage_bench.launch.status_channel import DIRECTORY_VARIABLE, StatusChannel
from mlpstorage_bench.process import reaper
from tests.cluster.waiting import wait_until
from tests.process.ended import is_gone, waits

pytestmark = pytest.mark.starts_process

LAUNCHER = f"""#!{sys.executable}
import os, pathlib, signal, subprocess, sys
from mlpstorage_bench.launch.status_channel import StatusChannel
here = pathlib.Path(os.environ["{DIRECTORY_VARIABLE}"])
if "rank" in sys.argv:
    StatusChannel(here, os.environ["{LAUNCH_ID_VARIABLE}"]).register(int(sys.argv[2]))
    def interrupt(*_):
        os.write(2, b"x" * 200_000)  # more than a pipe takes that nobody reads
        pathlib.Path(sys.argv[3], "reported-" + sys.argv[2]).touch()
        sys.exit()
    signal.signal(signal.SIGUSR1, interrupt)
    unfinished = pathlib.Path(sys.argv[3], "." + sys.argv[2])
    unfinished.write_text(f"{{os.getpid()}} {{here}}")
    unfinished.rename(unfinished.with_name("ready-" + sys.argv[2]))
    signal.pause()
else:
    output, input = os.pipe()
    start = [sys.executable, __file__, "rank"]
    ranks = [subprocess.Popen([*start, n, sys.argv[1]], stderr=input) for n in "01"]
    os.close(input)
    signal.signal(signal.SIGUSR1, lambda *_: [rank.send_signal(signal.SIGUSR1) for rank in ranks])
    try:
        while part := os.read(output, 65536):
            while part:
                part = part[os.write(2, part):]
    except BrokenPipeError:  # Hydra ends its ranks then
        for rank in ranks:
            rank.kill()
    for rank in ranks:
        rank.wait()
"""
PARENT = """
import pathlib, sys
from mlpstorage_bench.launch.command import LaunchPlan
from mlpstorage_bench.launch.hosts import Host, lay_out
from mlpstorage_bench.launch.monitor import Limits
from mlpstorage_bench.launch.parent import run
layout = lay_out((Host("localhost", None),), num_processes=2, npernode=None)
here = sys.argv.pop() == "here"
plan = LaunchPlan(tuple(sys.argv[1:]), (), "a launcher", (), layout, all_hosts_are_here=here)
run(plan, Limits(60))
"""


@pytest.fixture(params=["here", "over hosts"])
def parent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A parent whose two ranks have registered."""
    launcher = tmp_path / "launcher"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)
    command = [sys.executable, "-c", PARENT, str(launcher), str(tmp_path), request.param]
    started = subprocess.Popen(command)
    wait_until(lambda: len([*tmp_path.glob("ready-*")]) == 2)
    yield started
    started.kill()
    started.wait()


def helper_of(parent: subprocess.Popen[bytes]) -> psutil.Process:
    """Return the parent's helper, which starts after the launcher, as ranks do."""

    def helpers() -> list[psutil.Process]:
        children = psutil.Process(parent.pid).children()
        return [child for child in children if reaper.__file__ in child.cmdline()]

    wait_until(lambda: len(helpers()) == 1)
    (helper,) = helpers()
    return helper


@pytest.mark.parametrize("others", [None, signal.SIGKILL, signal.SIGSTOP])
def test_ranks_report_and_end_without_parent_and_helper(
    tmp_path: Path,
    parent: subprocess.Popen[bytes],
    others: signal.Signals | None,
) -> None:
    texts = [path.read_text().split() for path in tmp_path.glob("ready-*")]
    ranks, directory = [int(text[0]) for text in texts], Path(texts[0][1])
    helper = helper_of(parent)
    wait_until(lambda: waits(helper))
    if others is not None:
        helper.send_signal(others)
    parent.kill()
    wait_until(lambda: all(map(is_gone, ranks)))
    wait_until(lambda: not directory.exists())
    wait_until(lambda: is_gone(helper.pid))
    assert {path.name for path in tmp_path.glob("reported-*")} == {"reported-0", "reported-1"}


def test_launcher_that_nobody_has_waited_for_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(_: float) -> None:
        pytest.fail("waits for a process that has ended")

    with subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"], process_group=0
    ) as launcher:
        started = reaper.start_ticks(launcher.pid)
        assert started is not None
        launcher.kill()
        wait_until(lambda: is_gone(launcher.pid))
        monkeypatch.setattr(time, "sleep", wait)
        reaper._end_group(launcher.pid, started)
        monkeypatch.undo()


def test_last_rank_removes_the_directory_that_only_a_helper_of_ranks_is_left_for(
    tmp_path: Path,
) -> None:
    for launch, is_taken in (("orphaned", True), ("watched", False)):
        directory = tmp_path / launch
        directory.mkdir()
        for rank in (0, 1):
            (directory / f"rank-{rank}").touch()
        (directory / (parent_death._TAKEN if is_taken else parent_death._LAUNCHER)).touch()
        channel = StatusChannel(directory, "mlps-x")
        channel.unregister(1)
        assert directory.exists()
        channel.unregister(0)
        assert directory.exists() is not is_taken
