"""Ranks whose parent was killed, with its helper process killed or stopped as well."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from mlpstorage_bench.launch.environment import LAUNCH_ID_VARIABLE
from mlpstorage_bench.launch.status_channel import DIRECTORY_VARIABLE
from mlpstorage_bench.process import reaper

pytestmark = pytest.mark.starts_process

LAUNCHER = f"""#!{sys.executable}
import os, pathlib, signal, subprocess, sys
from mlpstorage_bench.launch import parent_death
from mlpstorage_bench.launch.status_channel import StatusChannel
from mlpstorage_bench.process import reaper
reaper.LONGEST_END_S = parent_death._MARGIN_S = 1.0
here = pathlib.Path(os.environ["{DIRECTORY_VARIABLE}"])
if "rank" in sys.argv:
    StatusChannel(here, os.environ["{LAUNCH_ID_VARIABLE}"]).register(int(sys.argv[2]))
    signal.signal(signal.SIGUSR1, lambda *_: sys.exit())
    pathlib.Path(sys.argv[3], "ready-" + sys.argv[2]).write_text(f"{{os.getpid()}} {{here}}")
    signal.pause()
else:
    ranks = [subprocess.Popen([sys.executable, __file__, "rank", n, sys.argv[1]]) for n in "01"]
    signal.signal(signal.SIGUSR1, lambda *_: [rank.send_signal(signal.SIGUSR1) for rank in ranks])
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
plan = LaunchPlan(tuple(sys.argv[1:]), (), "a launcher", (), layout, all_hosts_are_here=True)
run(plan, Limits(60))
"""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.02)


def is_gone(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A parent whose two ranks have registered."""
    launcher = tmp_path / "launcher"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)
    started = subprocess.Popen([sys.executable, "-c", PARENT, str(launcher), str(tmp_path)])
    wait_until(lambda: len([*tmp_path.glob("ready-*")]) == 2)
    yield started
    started.kill()
    started.wait()


def helper_of(parent: subprocess.Popen[bytes]) -> psutil.Process:
    children = psutil.Process(parent.pid).children()
    (helper,) = (child for child in children if reaper.__file__ in child.cmdline())
    return helper


@pytest.mark.parametrize("others", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_ranks_end_without_parent_and_helper(
    tmp_path: Path,
    parent: subprocess.Popen[bytes],
    others: signal.Signals,
) -> None:
    texts = [path.read_text().split() for path in tmp_path.glob("ready-*")]
    ranks, directory = [int(text[0]) for text in texts], Path(texts[0][1])
    helper = helper_of(parent)
    helper.send_signal(others)
    parent.kill()
    wait_until(lambda: all(map(is_gone, ranks)))
    wait_until(lambda: not directory.exists())
    with suppress(psutil.NoSuchProcess):
        helper.kill()
