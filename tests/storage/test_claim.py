"""Claims on directories: of other users, with links in them, and on filesystems of all kinds."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.paths import digest_name
from mlpstorage_bench.process import removal
from mlpstorage_bench.storage import claim as claims
from mlpstorage_bench.storage.claim import Claim, RefusedDirectoryError, others_can_replace
from mlpstorage_bench.storage.directory import RankDirectory
from mlpstorage_bench.storage.own_files import OWN_NAMES
from tests.conftest import Mount
from tests.storage.conftest import BindMount

ENTRY = f"{digest_name('entry')}.kv"
STRANGER = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user as well")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines on standard error."""
    said: list[str] = []
    monkeypatch.setattr(claims, "say", said.append)
    return said


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory where all users may write, below one that they can enter."""
    for folder in [tmp_path, *tmp_path.parents][:4]:
        folder.chmod(folder.stat().st_mode | stat.S_IXGRP | stat.S_IXOTH)
    path = tmp_path / "shared"
    path.mkdir()
    path.chmod(0o1777)
    return path


@as_root
def test_directory_of_another_user_with_a_link_is_refused(shared: Path) -> None:
    theirs, target = shared / "rank_0", shared / "made by root"
    theirs.mkdir()
    (theirs / ".claim").symlink_to(target)
    os.chown(theirs, STRANGER, STRANGER)
    theirs.chmod(0o777)
    with pytest.raises(InvalidInputError, match=r"rank_0 belongs to user nobody.* not that user"):
        RankDirectory(shared, 0).__enter__()
    assert not target.exists()
    assert [path.name for path in theirs.iterdir()] == [".claim"]


@as_root
def test_user_is_refused_in_a_directory_of_root(shared: Path) -> None:
    (shared / "rank_0").mkdir(0o777)
    code = (
        "import os, sys; from pathlib import Path\n"
        "from mlpstorage_bench.storage.claim import Claim\n"
        f"os.setuid({STRANGER})\n"
        "try: Claim(Path(sys.argv[1]))\n"
        "except Exception as error: print(error)\n"
    )
    answer = subprocess.check_output([sys.executable, "-c", code, shared / "rank_0"], text=True)
    assert answer.endswith("belongs to user root, and this process is not that user\n")


@as_root
def test_claim_file_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".claim").touch()
    os.chown(tmp_path / ".claim", STRANGER, STRANGER)
    with pytest.raises(RefusedDirectoryError, match=r"\.claim belongs to user nobody"):
        Claim(tmp_path)


def test_link_that_appears_after_the_check_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    directory = tmp_path / "rank_0"
    directory.mkdir()
    open_file = Claim._open_file

    def after_a_link(self: Claim) -> None:
        (directory / ".claim").symlink_to(target)
        open_file(self)

    monkeypatch.setattr(Claim, "_open_file", after_a_link)
    with pytest.raises(RefusedDirectoryError, match=r"\.claim is a symbolic link"):
        Claim(directory)
    assert not target.exists()


def test_directory_that_is_replaced_while_it_is_claimed_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, directory = tmp_path / "elsewhere", tmp_path / "rank_0"
    elsewhere.mkdir()
    open_file = Claim._open_file

    def after_a_swap(self: Claim) -> None:
        directory.rename(tmp_path / "moved")
        directory.symlink_to(elsewhere)
        open_file(self)

    monkeypatch.setattr(Claim, "_open_file", after_a_swap)
    with pytest.raises(RefusedDirectoryError, match="rank_0 is a symbolic link"):
        Claim(directory)
    assert list(elsewhere.iterdir()) == []


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as one:
        one.bind(str(path))


@pytest.mark.parametrize("make", [make_fifo, make_socket, os.mkdir])
def test_claim_that_is_no_regular_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rank_0").mkdir()
    monkeypatch.chdir(tmp_path / "rank_0")
    make(Path(".claim"))
    with pytest.raises(InvalidInputError, match=r"\.claim"):
        RankDirectory(tmp_path, 0).__enter__()


def test_own_directory_where_others_may_write_is_closed_to_them(tmp_path: Path) -> None:
    directory = tmp_path / "rank_0"
    directory.mkdir()
    directory.chmod(0o777)
    claim = Claim(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o755
    claim.remove()
    assert not directory.exists()


def test_new_directory_is_closed_to_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        claim = Claim(tmp_path / "rank_0")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "rank_0").stat().st_mode) == 0o700
    claim.remove()


def test_directory_where_all_may_rename_is_noticed(shared: Path) -> None:
    assert not others_can_replace(shared)
    shared.chmod(0o777)
    assert others_can_replace(shared)
    shared.chmod(0o775)
    assert not others_can_replace(shared)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to others")
def test_directory_in_which_a_group_or_its_owner_may_rename_is_noticed(shared: Path) -> None:
    shared.chmod(0o775)
    os.chown(shared, -1, 65534)
    assert others_can_replace(shared)
    shared.chmod(0o755)
    assert not others_can_replace(shared)
    os.chown(shared, 65534, -1)
    assert others_can_replace(shared)


@pytest.mark.starts_process
def test_forked_child_does_not_hold_the_directory(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "rank_0")
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        theirs.send(b"runs")
        theirs.recv(1)  # until the parent has claimed the directory again
        os._exit(0)
    with ours, theirs:
        ours.recv(4)
        claim.release()
        again = Claim(tmp_path / "rank_0")
        ours.send(b"x")
    assert os.waitpid(child, 0)[1] == 0
    again.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_run_waits_until_files_of_a_killed_one_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "rank_0"
    killed = Claim(directory)
    (directory / ENTRY).write_bytes(b"old")
    killed.release()
    removing, claimed = threading.Event(), threading.Event()
    remove_entries = removal.remove_entries

    def slowly(*arguments: Any) -> None:
        removing.set()
        assert not claimed.wait(0.3)
        remove_entries(*arguments)

    monkeypatch.setattr(removal, "remove_entries", slowly)
    helper = threading.Thread(target=removal.remove_left, args=(str(directory), OWN_NAMES))
    helper.start()
    removing.wait()
    claim = Claim(directory)
    claimed.set()
    helper.join()
    assert directory.is_dir()
    assert not (directory / ENTRY).exists()
    claim.remove()


@pytest.mark.slow
def test_removal_that_never_ends_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl  # noqa: PLC0415 - of this test alone

    monkeypatch.setattr(claims, "_REMOVAL_S", 0.1)
    with (tmp_path / ".claim").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with pytest.raises(RefusedDirectoryError, match="files of a killed run are being removed"):
            Claim(tmp_path)


def test_lock_of_a_killed_run_may_be_released_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = Claim(tmp_path / "rank_0")
    monkeypatch.setattr(time, "sleep", lambda _: killed.release())
    removal.remove_left(str(killed.path), OWN_NAMES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_helper_of_a_killed_run_leaves_what_another_run_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "_RELEASE_S", 0.1)
    claim = Claim(tmp_path / "rank_0")
    (claim.path / ENTRY).write_bytes(b"new")
    removal.remove_left(str(claim.path), OWN_NAMES)
    assert (claim.path / ENTRY).read_bytes() == b"new"
    claim.remove()


@pytest.mark.parametrize("inodes", [2, 3, 4])
def test_full_disk_refuses_the_directory_and_leaves_nothing(mount: Mount, inodes: int) -> None:
    place = mount("tmpfs", f"size=1m,nr_inodes={inodes}")
    with suppress(InvalidInputError), RankDirectory(place / "cache", 0):
        assert inodes == 4
    assert list(place.iterdir()) == []


class Keeping:
    """A filesystem that keeps unlinked files until they are closed, as NFS does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._unlink, self._close = os.unlink, os.close
        monkeypatch.setattr(os, "unlink", self.unlink)
        monkeypatch.setattr(os, "close", self.close)

    def unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        status = os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
        if self._is_open(status):
            os.rename(
                path, f".nfs{status.st_ino:016x}00000001", src_dir_fd=dir_fd, dst_dir_fd=dir_fd
            )
        else:
            self._unlink(path, dir_fd=dir_fd)

    def close(self, descriptor: int) -> None:
        self._close(descriptor)
        for kept in self._folder.rglob(".nfs*"):
            if not self._is_open(kept.stat()):
                self._unlink(kept)

    @staticmethod
    def _is_open(status: os.stat_result) -> bool:
        for path in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if os.path.samestat(os.fstat(int(path.name)), status):
                    return True
        return False


def test_directory_is_removed_where_open_files_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    Keeping(tmp_path, monkeypatch)
    claim = Claim(tmp_path / "rank_0")
    (claim.path / ENTRY).write_bytes(b"x")
    claim.remove()
    assert list(tmp_path.iterdir()) == []
    assert lines == []


@pytest.mark.slow
def test_file_that_another_process_keeps_open_is_named_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    Keeping(tmp_path, monkeypatch)
    monkeypatch.setattr(removal, "_RELEASE_S", 0.1)
    claim = Claim(tmp_path / "rank_0")
    (claim.path / ENTRY).write_bytes(b"x")
    with (claim.path / ENTRY).open():
        claim.remove()
        (line,) = lines
        assert "rank_0 is left, because of what else is in it: .nfs" in line
        monkeypatch.undo()
        Claim(tmp_path / "rank_0").remove()  # what is kept is no foreign file


@pytest.mark.parametrize(
    "options",
    [(), ("--force-user=nobody",), ("--chmod-deny",), ("--chown-deny", "--chmod-ignore")],
    ids=["plain", "squashed owners", "no modes", "ignored modes"],
)
def test_directory_on_fuse_is_claimed_and_removed(
    bindfs: BindMount, options: tuple[str, ...], lines: list[str]
) -> None:
    place = bindfs(*options)
    with RankDirectory(place / "cache", 0) as directory:
        (directory.path / ENTRY).write_bytes(b"x")
        (directory.path / "blocks" / "ab").mkdir(parents=True)
        with (directory.path / "blocks" / "ab" / f"{digest_name('entry')}.0.kv").open("wb") as file:
            file.write(b"x")
        with pytest.raises(InvalidInputError, match="is in use by a running benchmark"):
            RankDirectory(place / "cache", 0).__enter__()
    assert list(place.iterdir()) == []
    assert lines == []
