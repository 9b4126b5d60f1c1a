"""Cache directories: refusal of unsafe ones, locking, and removal."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.paths import digest_name
from mlpstorage_bench.process import reaper
from mlpstorage_bench.process.removal import MANIFEST
from mlpstorage_bench.storage.directory import RankDirectory, check_cache_dir

pytestmark = pytest.mark.starts_process

USER_PROCESS = """
import sys, time
from pathlib import Path
from mlpstorage_bench.storage.directory import RankDirectory
with RankDirectory(Path(sys.argv[1]), 0) as directory:
    (directory.path / "HELD").write_bytes(b"x")
    print("ready", flush=True)
    time.sleep(600)
"""
ENTRY = f"{digest_name('entry')}.kv"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.02)


@pytest.fixture
def user_process(tmp_path: Path) -> subprocess.Popen[str]:
    """Process that uses `tmp_path/cache` as rank 0."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER_PROCESS.replace("HELD", ENTRY), str(tmp_path / "cache")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    "path",
    ["/", "/usr", "/usr/share/x", "/etc/cache", "/proc", "/sys/x", "/dev/shm", "/tmp", "/var"],
)
def test_system_directory_is_refused(path: str) -> None:
    with pytest.raises(InvalidInputError, match="is a system directory"):
        check_cache_dir(Path(path))


def test_link_to_system_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(InvalidInputError, match="/etc is a system directory"):
        check_cache_dir(tmp_path / "link")


def test_missing_directory_is_accepted_and_not_created(tmp_path: Path) -> None:
    check_cache_dir(tmp_path / "cache")
    check_cache_dir(Path("/dev/shm/cache"))
    assert list(tmp_path.iterdir()) == []


def test_directory_without_a_parent_is_refused(tmp_path: Path) -> None:
    """The storage that should be there may not be mounted."""
    given = tmp_path / "array" / "cache"
    with pytest.raises(InvalidInputError, match=r"array does not exist\. Is the storage mounted\?"):
        check_cache_dir(given)
    assert not (tmp_path / "array").exists()


def test_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="file is a file"):
        check_cache_dir(tmp_path / "file" / "cache")


def test_rank_directory_is_removed_and_cache_dir_only_if_created(
    tmp_path: Path,
) -> None:
    with RankDirectory(tmp_path / "cache", 3) as directory:
        assert directory.path == tmp_path / "cache" / "rank_3"
        (directory.path / ENTRY).write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "cache").mkdir()
    with RankDirectory(tmp_path / "cache", 3):
        pass
    assert list(tmp_path.rglob("*")) == [tmp_path / "cache"]


def test_rank_directory_is_removed_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RankDirectory(tmp_path / "cache", 0):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_directory_in_use_is_refused_and_unchanged(
    tmp_path: Path, user_process: subprocess.Popen[str]
) -> None:
    try:
        with pytest.raises(InvalidInputError, match="rank_0 is in use by a running benchmark"):
            RankDirectory(tmp_path / "cache", 0).__enter__()
        assert (tmp_path / "cache" / "rank_0" / ENTRY).exists()
    finally:
        kill(user_process)
    wait_until(lambda: not (tmp_path / "cache" / "rank_0").exists())


def test_directory_of_killed_process_is_removed(
    tmp_path: Path, user_process: subprocess.Popen[str]
) -> None:
    kill(user_process)
    wait_until(lambda: not (tmp_path / "cache" / "rank_0").exists())


def helpers_of(directory: Path) -> list[Path]:
    """Return the processes that would remove a directory."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):  # it is no process, or has ended
            if f"\0{directory}\0".encode() in (process / "cmdline").read_bytes():
                found.append(process)
    return found


def test_listed_files_of_a_killed_process_stay(
    tmp_path: Path, user_process: subprocess.Popen[str]
) -> None:
    own = tmp_path / "cache" / "rank_0" / ENTRY
    (own.parent / MANIFEST).write_text("{}")
    assert helpers_of(own.parent)
    kill(user_process)
    wait_until(lambda: not helpers_of(own.parent))
    assert own.exists()
    with RankDirectory(tmp_path / "cache", 0, finds=True):
        assert own.exists()
    assert own.exists()
    with RankDirectory(tmp_path / "cache", 0, finds=True) as found:
        found.leaves = False
    assert not own.parent.exists()


def test_the_list_is_removed_before_what_it_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []
    unlink = os.unlink

    def noted(path: str, *, dir_fd: int) -> None:
        removed.append(path)
        unlink(path, dir_fd=dir_fd)

    with RankDirectory(tmp_path / "cache", 0) as directory:
        for number in range(8):
            (directory.path / f"{digest_name(str(number))}.kv").touch()
        (directory.path / MANIFEST).write_text("{}")
        monkeypatch.setattr("mlpstorage_bench.process.removal.os.unlink", noted)
    assert (removed[0], removed[-1]) == (MANIFEST, ".claim")
    assert len(removed) == 10


def test_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    leftover = tmp_path / "cache" / "rank_0" / ENTRY
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"x")
    with RankDirectory(tmp_path / "cache", 0):
        assert not leftover.exists()


def test_foreign_files_and_links_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "cache" / "rank_0" / "thesis.tex"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("years of work")
    (tmp_path / "cache" / "rank_1").symlink_to(tmp_path)
    with pytest.raises(InvalidInputError, match=r"thesis.tex is not a cache file"):
        RankDirectory(tmp_path / "cache", 0).__enter__()
    with pytest.raises(InvalidInputError, match="rank_1 is a symbolic link"):
        RankDirectory(tmp_path / "cache", 1).__enter__()
    assert foreign.read_text() == "years of work"


FOREIGN = ["precious.kv", "blocks/precious.kv", "blocks/ab/precious.kv", f"sub/{ENTRY}"]


@pytest.mark.parametrize("name", FOREIGN)
def test_file_that_stores_do_not_name_so_is_refused(tmp_path: Path, name: str) -> None:
    theirs = tmp_path / "cache" / "rank_0" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text("years of work")
    with pytest.raises(InvalidInputError, match="is not a cache file"):
        RankDirectory(tmp_path / "cache", 0).__enter__()
    assert theirs.read_text() == "years of work"


@pytest.mark.parametrize("name", [ENTRY, "blocks", ".claim"])
def test_link_named_like_a_file_of_a_store_is_refused(tmp_path: Path, name: str) -> None:
    theirs = tmp_path / "precious"
    theirs.write_text("years of work")
    link = tmp_path / "cache" / "rank_0" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(theirs)
    with pytest.raises(InvalidInputError, match="is not a cache file"):
        RankDirectory(tmp_path / "cache", 0).__enter__()
    assert theirs.read_text() == "years of work"


def make_foreign(rank_directory: Path, outside: Path) -> list[Path]:
    """Add foreign files, and links to others, to a store's directory."""
    outside.mkdir()
    made = [rank_directory / name for name in FOREIGN] + [outside / "ab" / ENTRY]
    for path in made:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("years of work")
    (rank_directory / "blocks" / "cd").symlink_to(outside)
    return made


def test_only_files_of_stores_are_removed_at_the_end(tmp_path: Path) -> None:
    with RankDirectory(tmp_path / "cache", 0) as directory:
        (directory.path / ENTRY).write_bytes(b"x")
        theirs = make_foreign(directory.path, tmp_path / "outside")
        own = directory.path / "blocks" / "ab" / "cd" / f"{digest_name('entry')}.0.kv.tmp"
        own.parent.mkdir()
        own.write_bytes(b"x")
    left = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(theirs)
    assert not own.parent.exists()


def test_only_files_of_stores_are_removed_when_the_process_is_killed(
    tmp_path: Path, user_process: subprocess.Popen[str]
) -> None:
    own = tmp_path / "cache" / "rank_0" / ENTRY
    theirs = make_foreign(own.parent, tmp_path / "outside")
    kill(user_process)
    wait_until(lambda: not own.exists() and not (own.parent / ".claim").exists())
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(theirs)


def test_stopped_reaper_removes_nothing(tmp_path: Path) -> None:
    started = reaper.start("remove", str(tmp_path), ".*")
    reaper.stop(started)
    assert started.returncode == 0
    assert tmp_path.is_dir()
