"""Functions between the two times of a transfer's or sync's span.

A thread that waits in one of them, for a processor or for Python's lock, sees the end of its
transfer later by that wait.
"""

from __future__ import annotations

from types import CodeType, FunctionType
from typing import Final

from mlpstorage_bench.storage.aio_context import AioContext
from mlpstorage_bench.storage.file_mover import FileMover
from mlpstorage_bench.storage.files import DataFile
from mlpstorage_bench.storage.io_uring import IoUring
from mlpstorage_bench.storage.io_uring_ring import Ring
from mlpstorage_bench.storage.linux_aio import LinuxAio
from mlpstorage_bench.storage.queue_calls import sync_file
from mlpstorage_bench.storage.transfers import TransferQueue

_FUNCTIONS: tuple[object, ...] = (
    *(FileMover.put, FileMover.get),
    *(DataFile.write, DataFile.write_back, DataFile.read, sync_file),
    *TransferQueue.TRANSFERS,
    *(part for queue in (LinuxAio, AioContext, IoUring, Ring) for part in vars(queue).values()),
)
TRANSFER_CODE: Final[frozenset[CodeType]] = frozenset(
    function.__code__ for function in _FUNCTIONS if isinstance(function, FunctionType)
)
"""Their code, as frames have it. Work on other chunks is not among it, whose bound is `late_ns`."""
