"""Direct I/O: the alignment that it needs, and filesystems that have none."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.storage import direct_io
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.kernel_queue import Event
from tests.conftest import WITHOUT_TEST_TOOLS, Mount
from tests.fake_queue import FakeQueue
from tests.storage.conftest import BindMount, kernel_queue

INPUTS = Path(__file__).parents[3] / "shared" / "inputs"
KIB = 1024


class Filesystem:
    """Replaces the system's calls by those of a filesystem with another direct I/O."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.alignment = 512
        self.open_error = self.transfer_error = 0
        self.most = 1 << 30
        self.returns_early = True
        self.stated: tuple[int, int] | None = None
        self._open, self._write, self._read = os.open, os.pwritev, os.preadv
        monkeypatch.setattr(os, "open", self.open)
        monkeypatch.setattr(os, "pwritev", lambda *a: self.move(self._write, *a))
        monkeypatch.setattr(os, "preadv", lambda *a: self.move(self._read, *a))
        monkeypatch.setattr(ctypes, "CDLL", lambda _: self)

    def open(self, path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & os.O_DIRECT and self.open_error:
            raise OSError(self.open_error, os.strerror(self.open_error))
        return self._open(path, flags & ~os.O_DIRECT, *arguments, **named)

    def move(self, call: Any, descriptor: int, buffers: Any, offset: int, flags: int = 0) -> int:
        if flags and not self.returns_early:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        size = sum(map(len, buffers))
        if self.transfer_error:
            raise OSError(self.transfer_error, os.strerror(self.transfer_error))
        address = ctypes.addressof(ctypes.c_char.from_buffer(buffers[0]))
        if size % self.alignment or offset % self.alignment or address % self.alignment:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return min(int(call(descriptor, buffers, offset)), self.most)

    def statx(self, _directory: int, _name: bytes, _flags: int, _mask: int, answer: Any) -> int:
        if self.stated is None:
            struct.pack_into("=I", answer, 0, 0x7FF)
            return 0
        struct.pack_into("=I", answer, 0, 0x7FF | 0x2000)
        struct.pack_into("=II", answer, 152, *self.stated)
        return 0


@pytest.fixture
def filesystem(monkeypatch: pytest.MonkeyPatch) -> Filesystem:
    return Filesystem(monkeypatch)


@pytest.mark.parametrize("needed", [512, 4096, 16 * KIB, 64 * KIB])
def test_alignment_is_found_by_trying_where_the_kernel_does_not_say_it(
    filesystem: Filesystem, tmp_path: Path, needed: int
) -> None:
    filesystem.alignment = needed
    assert probe_direct_io(tmp_path).alignment_bytes == max(4096, needed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("stated", "found"), [((4, 512), 4096), ((512, 32768), 32768)])
def test_alignment_is_what_the_kernel_says(
    filesystem: Filesystem, tmp_path: Path, stated: tuple[int, int], found: int
) -> None:
    filesystem.stated = stated
    assert probe_direct_io(tmp_path).alignment_bytes == found


def test_file_that_is_opened_for_direct_io_without_having_it_is_recognised(
    filesystem: Filesystem, tmp_path: Path
) -> None:
    filesystem.stated = (0, 0)  # as ext4 with data=journal
    found = probe_direct_io(tmp_path)
    assert not found.is_available
    assert "through the page cache" in found.reason


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
@pytest.mark.parametrize("at", ["open_error", "transfer_error"])
def test_filesystem_without_direct_io_has_the_systems_reason(
    filesystem: Filesystem, tmp_path: Path, at: str, number: int
) -> None:
    setattr(filesystem, at, number)
    found = probe_direct_io(tmp_path)
    assert not found.is_available
    assert os.strerror(number) in found.reason
    assert list(tmp_path.iterdir()) == []


def test_alignment_that_is_too_large_is_none(filesystem: Filesystem, tmp_path: Path) -> None:
    filesystem.stated = (1 << 20, 1 << 20)
    assert probe_direct_io(tmp_path).reason == "it needs multiples of 1048576 bytes"


def test_transfers_that_are_cut_short_are_no_direct_io(
    filesystem: Filesystem, tmp_path: Path
) -> None:
    filesystem.most = 512
    assert probe_direct_io(tmp_path).reason == "transfers are cut short"


def test_failing_storage_is_an_error(filesystem: Filesystem, tmp_path: Path) -> None:
    filesystem.transfer_error = errno.EIO
    with pytest.raises(Exception, match=r"probing direct I/O on .*EIO"):
        probe_direct_io(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_statement_of_this_kernel_is_an_alignment(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        stated = direct_io._stated_alignment(file.fileno())
    assert stated in (None, 0) or stated in {2**power for power in range(9, 21)}


def test_filesystem_that_journals_data_has_no_direct_io(mount: Mount, tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    make = shutil.which("mkfs.ext4")
    if make is None:
        pytest.skip("needs mkfs.ext4")
    subprocess.run([make, "-q", "-F", str(image)], check=True)
    place = mount("ext4", f"loop,data=journal {image}")
    with (place / "x").open("wb") as file:
        if direct_io._stated_alignment(file.fileno()) is None:
            pytest.skip("needs a kernel that says what direct I/O a file has (Linux 6.1)")
    assert not probe_direct_io(place).is_available


@pytest.fixture
def interposed(tmp_path: Path) -> dict[str, str]:
    """Environment in which the C library's calls are those of another filesystem."""
    compiler, source = shutil.which("gcc"), INPUTS / "dio.c"
    if compiler is None or not source.exists():
        pytest.skip("needs gcc, and the source of a library that replaces calls")
    library = tmp_path / "dio.so"
    subprocess.run([compiler, "-shared", "-fPIC", source, "-ldl", "-o", library], check=True)
    return {**os.environ, "LD_PRELOAD": str(library), "PYTEST_ADDOPTS": WITHOUT_TEST_TOOLS}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "layout", "note"),
    [
        pytest.param("align", "entry", "needs multiples of 16 KiB", marks=pytest.mark.long),
        pytest.param("align", "block", "needs multiples of 16 KiB", marks=pytest.mark.long),
        pytest.param("align", "slab", "needs multiples of 16 KiB", marks=pytest.mark.long),
        ("open", "entry", "no direct I/O in .* Operation not supported"),
    ],
)
def test_run_on_such_a_filesystem_passes_and_says_so(
    tmp_path: Path, interposed: dict[str, str], mode: str, layout: str, note: str
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(
        "def test_it(kvcache):\n"
        "    kvcache.run(1, duration=60, warmup=0, requests=20, io_chunk_kib=64)\n"
    )
    command = [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--mlps-trials=1"),
        *("--mlps-cache-dir=cache", "--mlps-set=entry_scale=0.0007", "--mlps-set=calibration=0"),
        *("--mlps-set=think_time_scale=0.05", f"--mlps-set=layout={layout}"),
        *("--mlps-set=max_concurrent_allocs=2", "--mlps-set=storage_capacity_gb=0.2"),
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**interposed, "DIO_MODE": mode},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(note, done.stdout), done.stdout


@pytest.mark.parametrize("returns_early", [True, False])
def test_filesystem_that_cannot_start_a_transfer_and_return_is_found(
    tmp_path: Path, filesystem: Filesystem, *, returns_early: bool
) -> None:
    filesystem.returns_early = returns_early
    assert probe_direct_io(tmp_path).returns_early == returns_early


def test_tmpfs_moves_transfers_within_the_call(mount: Mount) -> None:
    found = probe_direct_io(mount("tmpfs", "size=1m"))
    if not found.is_available:
        pytest.skip("this kernel has no direct I/O on tmpfs")
    assert not found.returns_early
    kernel_queue(1).close()
    assert found.aio_waits


def test_filesystem_without_direct_io_is_asked_as_well(
    tmp_path: Path, filesystem: Filesystem
) -> None:
    filesystem.open_error, filesystem.returns_early = errno.EINVAL, False
    found = probe_direct_io(tmp_path)
    assert (found.is_available, found.returns_early) == (False, False)
    assert list(tmp_path.iterdir()) == []


def test_fuse_moves_transfers_of_linux_aio_within_the_call(bindfs: BindMount) -> None:
    found = probe_direct_io(bindfs())
    if not found.is_available:
        pytest.skip("this kernel has no direct I/O on FUSE")
    kernel_queue(1).close()
    assert (found.returns_early, found.aio_waits) == (False, True)


def test_linux_aio_that_returns_early_once_does_not_wait(
    tmp_path: Path, filesystem: Filesystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FastAtTimes(FakeQueue):
        """Ends a transfer within the call that submits it, except for the third."""

        def reap(self, timeout_ns: int | None) -> list[Event]:
            self.is_eager = self.submitted != 3
            return super().reap(timeout_ns)

    filesystem.returns_early = False
    monkeypatch.setattr(direct_io, "LinuxAio", lambda _: FakeQueue(1, is_eager=True))
    assert probe_direct_io(tmp_path).aio_waits
    queue = FastAtTimes(1)
    monkeypatch.setattr(direct_io, "LinuxAio", lambda _: queue)
    assert not probe_direct_io(tmp_path).aio_waits
    assert queue.is_closed
