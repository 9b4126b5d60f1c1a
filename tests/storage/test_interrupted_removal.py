"""Rank directories whose removal is interrupted: what is left goes to the reaper, or is named."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from mlpstorage_bench.paths import digest_name
from mlpstorage_bench.process.removal import MANIFEST
from mlpstorage_bench.storage.directory import RankDirectory
from tests.cluster.waiting import wait_until

pytestmark = pytest.mark.starts_process

ENTRY = f"{digest_name('entry')}.kv"


@pytest.mark.parametrize("name", [ENTRY, ".claim"])
def test_interrupt_while_files_are_removed_leaves_them_to_the_reaper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    unlink = os.unlink

    def interrupted(path: str, *, dir_fd: int) -> None:
        if path == name:
            monkeypatch.undo()
            unlink(path, dir_fd=dir_fd)
            raise KeyboardInterrupt
        unlink(path, dir_fd=dir_fd)

    directory = RankDirectory(tmp_path / "cache", 0)
    directory.__enter__()
    for entry in ("one", "two", "entry"):
        (directory.path / f"{digest_name(entry)}.kv").write_bytes(b"x")
    monkeypatch.setattr("mlpstorage_bench.process.removal.os.unlink", interrupted)
    with pytest.raises(KeyboardInterrupt):
        directory.__exit__()
    wait_until(lambda: not directory.path.exists())


def test_interrupt_before_the_list_is_removed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: str, *, dir_fd: int) -> None:
        del path, dir_fd
        monkeypatch.undo()
        raise KeyboardInterrupt

    directory = RankDirectory(tmp_path / "cache", 0)
    directory.__enter__()
    for name in (ENTRY, MANIFEST):
        (directory.path / name).write_bytes(b"x")
    monkeypatch.setattr("mlpstorage_bench.process.removal.os.unlink", interrupted)
    with pytest.raises(KeyboardInterrupt):
        directory.__exit__()
    wait_until(lambda: not directory.path.exists())


def test_directory_whose_files_stay_is_not_left_to_the_reaper(tmp_path: Path) -> None:
    with RankDirectory(tmp_path / "cache", 0) as directory:
        (directory.path / ENTRY).write_bytes(b"x")
        assert directory._reaper is not None
        process_id = directory._reaper.pid
        directory.leaves = True
        directory.leave_to_reaper()
    with suppress(ChildProcessError):  # it was waited for
        os.waitpid(process_id, 0)
    assert (directory.path / ENTRY).exists()


def test_files_are_named_where_the_reaper_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("mlpstorage_bench.storage.directory.say", said.append)
    with RankDirectory(tmp_path / "cache", 0) as directory:
        (directory.path / ENTRY).write_bytes(b"x")
        assert directory._reaper is not None
        directory._reaper.kill()
        directory._reaper.wait()
        directory.leave_to_reaper()
    assert said == [f"mlpstorage: interrupted: files are left in {directory.path}"]
    assert (directory.path / ENTRY).exists()


def test_files_are_named_where_their_list_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("mlpstorage_bench.storage.directory.say", said.append)
    with RankDirectory(tmp_path / "cache", 0) as directory:
        (directory.path / ENTRY).write_bytes(b"x")
        (directory.path / MANIFEST).mkdir()  # to unlink it fails, also for root
        assert directory._reaper is not None
        process_id = directory._reaper.pid
        directory.leave_to_reaper()
    (line,) = said
    reason = f", as {MANIFEST} cannot be removed: Is a directory"
    assert line == f"mlpstorage: interrupted: files are left in {directory.path}{reason}"
    with suppress(ChildProcessError):  # it was waited for
        os.waitpid(process_id, 0)
    assert (directory.path / ENTRY).exists()
