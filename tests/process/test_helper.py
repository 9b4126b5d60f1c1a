"""Helper processes that do not end: stopped, or deaf to their last message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mlpstorage_bench.process import helper, reaper, removal
from tests.cluster.waiting import wait_until
from tests.process.ended import is_gone, waits

pytestmark = pytest.mark.starts_process


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "END_S", 0.2)


def test_stopped_reaper_is_killed_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(helper, "say", lines.append)
    started = reaper.start("remove", str(tmp_path / "nothing"), ".*")
    os.kill(started.pid, signal.SIGSTOP)
    reaper.stop(started)
    assert started.returncode == -signal.SIGKILL
    named = f"mlpstorage: helper process {started.pid}"
    assert lines == [f"{named} did not end within 0.2 s, and was killed"]


def test_reaper_that_was_killed_before_is_no_error(tmp_path: Path) -> None:
    started = reaper.start("remove", str(tmp_path / "nothing"), ".*")
    started.kill()
    started.wait()
    reaper.stop(started)
    assert started.returncode == -signal.SIGKILL


def test_stopped_reaper_with_a_mark_is_killed_after_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "_CLEANUP_S", 0.2)
    environment = {**os.environ, "MLPS_TEST_LAUNCH": "this"}
    started = reaper.start("remove", str(tmp_path / "nothing"), ".*", environment=environment)
    os.kill(started.pid, signal.SIGSTOP)
    assert reaper.kill_marked("MLPS_TEST_LAUNCH=this") == [started.pid]
    started.communicate()
    assert started.returncode == -signal.SIGKILL


def test_reaper_that_takes_long_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "_CLEANUP_S", 0.2)
    environment = {**os.environ, "MLPS_TEST_LAUNCH": "that"}
    started = reaper.start("remove", str(tmp_path / "nothing"), ".*", environment=environment)
    assert reaper.kill_marked("MLPS_TEST_LAUNCH=that") == []
    assert started.poll() is None
    reaper.stop(started)


def test_stopped_helper_goes_on_when_its_owner_is_killed(tmp_path: Path) -> None:
    """The files of a killed rank are removed, though nothing else is left that could do that."""
    directory = tmp_path / "rank_0"
    directory.mkdir()
    (directory / removal.CLAIM).touch()
    program = (
        "import sys, time; from mlpstorage_bench.process import reaper; "
        "print(reaper.start('remove', sys.argv[1], '.*').pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program, directory], stdout=-1) as owner:
        assert owner.stdout is not None
        helper = psutil.Process(int(owner.stdout.readline()))
        wait_until(lambda: waits(helper))
        helper.suspend()
        owner.kill()
    wait_until(lambda: is_gone(helper.pid))
    assert not directory.exists()


def test_group_whose_number_was_given_to_another_process_is_not_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, process_group=0) as other:
        started = reaper.start_ticks(other.pid)
        assert started is not None
        reaper._end_group(other.pid, started - 1)
        assert other.poll() is None


def test_programs_of_helpers_need_the_standard_library_alone() -> None:
    for program in (reaper.__file__, removal.__file__):
        done = subprocess.run(
            [sys.executable, "-I", "-S", program, "print", "x"], input=b"d", check=False
        )
        assert done.returncode == 0
