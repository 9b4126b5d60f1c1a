"""Functions between the two times of a transfer's or sync's span.

A thread that waits in one of them, for a processor or for Python's lock, sees the end of its
transfer later by that wait.
"""

from __future__ import annotations

from types import CodeType
from typing import Final

from mlpstorage_bench.storage.aio import KernelQueue
from mlpstorage_bench.storage.file_mover import FileMover
from mlpstorage_bench.storage.files import DataFile
from mlpstorage_bench.storage.in_flight import InFlight

TRANSFER_CODE: Final[frozenset[CodeType]] = frozenset(
    function.__code__
    for function in (
        *(FileMover.put, FileMover.get),
        *(DataFile.write, DataFile.write_back, DataFile.read, DataFile.make_durable),
        *InFlight.TRANSFERS,
        *(KernelQueue.submit, KernelQueue.reap),
    )
)
"""Their code, as frames have it. Work on other chunks is not among it, whose bound is `late_ns`."""
