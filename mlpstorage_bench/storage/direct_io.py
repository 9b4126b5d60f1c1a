"""Whether files in a directory support direct I/O, and the alignment that it needs.

The kernel says it (statx, STATX_DIOALIGN) for some filesystems since Linux 6.1. A file that is
written and read shows it everywhere, also where a filesystem accepts less than it says.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.storage.buffers import SECTOR_BYTES, AlignedBuffer, aligned_buffer
from mlpstorage_bench.storage.failures import storage_error
from mlpstorage_bench.storage.files import DATA_SUFFIX, remove
from mlpstorage_bench.storage.kernel_queue import QueueRefusedError
from mlpstorage_bench.storage.linux_aio import LinuxAio

LARGEST_ALIGNMENT_BYTES = 64 << 10
"""Largest alignment that is tried: pages of 64 KiB are the largest that kernels have."""
_UNSUPPORTED = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
"""Errors of filesystems without direct I/O; some open the file and fail at its first transfer."""
_READS = 8
"""Reads that all have to wait, so that Linux AIO is known to."""

_AT_EMPTY_PATH = 0x1000
_STATX_DIOALIGN = 0x2000
_STATX_BYTES = 256
_MASK_AT, _ALIGNMENTS_AT = 0, 152
"""Offsets in struct statx: stx_mask; stx_dio_mem_align and stx_dio_offset_align."""


@dataclass(frozen=True)
class DirectIo:
    """Direct I/O of a directory's files."""

    alignment_bytes: int | None
    """Sizes, offsets and addresses of transfers are multiples of it; None without direct I/O."""
    reason: str = ""
    """Why there is none; '' if there is."""
    returns_early: bool = True
    """Whether a transfer can be started without waiting for its end, also one through the page
    cache if there is no direct I/O; where it cannot, as on tmpfs, NFS and FUSE, io_uring needs a
    worker for each transfer."""
    aio_waits: bool = False
    """Whether Linux AIO then returns from a submission only after its end, as on tmpfs and with
    most FUSE filesystems: it moves one transfer of a thread after another."""

    @property
    def is_available(self) -> bool:
        """Whether files bypass the page cache."""
        return self.alignment_bytes is not None


def probe_direct_io(directory: Path) -> DirectIo:
    """Return the direct I/O of a directory's files, by writing and reading one."""
    path = directory / f".direct-io-probe{DATA_SUFFIX}"
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            remove(path)  # a filesystem may have created it nevertheless
            reason = f"opening a file with O_DIRECT: {error.strerror}"
            return DirectIo(None, reason, returns_early=_cached_returns_early(path))
        raise storage_error("probing direct I/O on", path, error) from error
    try:
        return _probe(descriptor)
    except OSError as error:
        raise storage_error("probing direct I/O on", path, error) from error
    finally:
        os.close(descriptor)
        remove(path)


def _probe(descriptor: int) -> DirectIo:
    stated = _stated_alignment(descriptor)
    if stated == 0:
        return DirectIo(None, "files opened with O_DIRECT go through the page cache here")
    alignment = max(SECTOR_BYTES, stated or 0)
    refusal = f"it needs multiples of {alignment} bytes"
    while alignment <= LARGEST_ALIGNMENT_BYTES:
        buffer = aligned_buffer(alignment)
        try:
            if _moves_aligned(descriptor, buffer):
                returns_early = _returns_early(descriptor, buffer)
                aio_waits = not returns_early and _aio_waits(descriptor, buffer)
                return DirectIo(alignment, returns_early=returns_early, aio_waits=aio_waits)
            refusal = "transfers are cut short"
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            refusal = f"a transfer with O_DIRECT: {error.strerror}"
            if error.errno != errno.EINVAL:
                break
        alignment *= 2
    return DirectIo(None, refusal)


def _moves_aligned(descriptor: int, buffer: AlignedBuffer) -> bool:
    """Return whether transfers of the buffer's size are complete, at the first two offsets."""
    return all(
        move(descriptor, [buffer.bytes], offset) == buffer.size
        for offset in (0, buffer.size)
        for move in (os.pwritev, os.preadv)
    )


def _returns_early(descriptor: int, buffer: AlignedBuffer) -> bool:
    try:
        os.preadv(descriptor, [buffer.bytes], 0, os.RWF_NOWAIT)
    except OSError as error:
        return error.errno != errno.EOPNOTSUPP
    return True


def _cached_returns_early(path: Path) -> bool:
    """Return whether transfers through the page cache can return early."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise storage_error("probing I/O on", path, error) from error
    try:
        return _returns_early(descriptor, aligned_buffer(SECTOR_BYTES))
    finally:
        os.close(descriptor)
        remove(path)


def _aio_waits(descriptor: int, buffer: AlignedBuffer) -> bool:
    """Return whether reads by Linux AIO have ended when their submission returns; False without it.

    Some storage is so fast that one has, at times.
    """
    try:
        queue = LinuxAio(1)
    except QueueRefusedError:
        return False
    with closing(queue):
        for _ in range(_READS):
            queue.prepare(
                0,
                is_write=False,
                descriptor=descriptor,
                address=buffer.address,
                size=buffer.size,
                offset=0,
            )
            queue.submit()
            if not queue.reap(0):
                queue.reset()
                return False
    return True


def _stated_alignment(descriptor: int) -> int | None:
    """Return the alignment that the kernel says; 0: no direct I/O; None if it does not say it."""
    statx = getattr(ctypes.CDLL(None), "statx", None)
    if statx is None:  # an older C library
        return None
    answer = ctypes.create_string_buffer(_STATX_BYTES)
    if statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_DIOALIGN, answer) != 0:
        return None
    (mask,) = struct.unpack_from("=I", answer, _MASK_AT)
    if not mask & _STATX_DIOALIGN:
        return None
    memory, offset = struct.unpack_from("=II", answer, _ALIGNMENTS_AT)
    return max(memory, offset) if memory and offset else 0
