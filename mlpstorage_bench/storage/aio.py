"""Linux native AIO: one thread submits several transfers to the kernel and collects the results.

The same interface as fio's engine libaio, without that library: io_setup(2), io_submit(2),
io_getevents(2) and io_destroy(2) through the C library's `syscall`. Control blocks are packed into
memory that is allocated once. Filesystems move files opened with O_DIRECT concurrently; other
files they move one after another, within io_submit.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, Self

from mlpstorage_bench.errors import MlpsError

Event = tuple[int, int]
"""Result of a transfer: its slot, and the number of bytes moved or a negative errno."""


class Queue(Protocol):
    """Transfers submitted to the kernel, each in its own slot. Not thread-safe."""

    def submit(
        self, slot: int, *, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        """Submit a transfer of `size` bytes between memory and a file.

        `address` is in memory, `offset` is in the file. Raises OSError if the kernel rejects it.
        """
        ...

    def reap(self, *, waits: bool) -> list[Event]:
        """Return the completed transfers; with `waits`, block until there is at least one."""
        ...

    def reset(self) -> None:
        """Wait until every transfer has ended, and discard the results."""
        ...

    def close(self) -> None:
        """Reset the queue, and release it."""
        ...


class QueueRefusedError(MlpsError):
    """The host provides no AIO queue: chunks move one after another, and the results say so."""


class _Calls(NamedTuple):
    """System call numbers."""

    setup: int
    destroy: int
    submit: int
    getevents: int


_GENERIC = _Calls(setup=0, destroy=1, submit=2, getevents=4)
_CALLS = {
    "x86_64": _Calls(setup=206, destroy=207, submit=209, getevents=208),
    **dict.fromkeys(("aarch64", "riscv64", "loongarch64"), _GENERIC),
}
_HINTS = {
    errno.EAGAIN: "the host's limit on AIO requests is reached (raise fs.aio-max-nr)",
    errno.ENOSYS: "this kernel does not support it",
    errno.EPERM: "a sandbox blocks it",
}
_READ, _WRITE = 0, 1
_BLOCK = struct.Struct("=QIIHhIQQqQII")
"""struct iocb: data, key, flags; operation, priority, descriptor; address, size, offset."""
_EVENT = struct.Struct("=QQqq")
"""struct io_event: data, control block, result, second result."""
_HEAD, _TAIL, _MAGIC = 2, 3, 4
_RING_MAGIC = 0xA10A10A1


class KernelQueue:
    """A kernel AIO queue with `depth` slots."""

    def __init__(self, depth: int) -> None:
        self._numbers = _CALLS.get(platform.machine()) if sys.maxsize > 1 << 32 else None
        if self._numbers is None:
            raise QueueRefusedError(f"Linux AIO call numbers are unknown for {platform.machine()}")
        self._depth = ctypes.c_long(depth)
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._poll = ctypes.PyDLL(None, use_errno=True).syscall
        """The same call without releasing the interpreter's lock, for calls that return at once."""
        self._call.restype = self._poll.restype = ctypes.c_long
        self._blocks = bytearray(_BLOCK.size * depth)
        self._events = bytearray(_EVENT.size * depth)
        first = _address(self._blocks)
        self._pointers = (ctypes.c_void_p * depth)(
            *(first + _BLOCK.size * slot for slot in range(depth))
        )
        begin = ctypes.addressof(self._pointers)
        width = ctypes.sizeof(ctypes.c_void_p)
        self._at = [ctypes.c_void_p(begin + width * slot) for slot in range(depth)]
        self._events_at = ctypes.c_void_p(_address(self._events))
        self._nothing, self._one = ctypes.c_long(0), ctypes.c_long(1)
        self._submit_number = ctypes.c_long(self._numbers.submit)
        self._getevents_number = ctypes.c_long(self._numbers.getevents)
        self._context = ctypes.c_ulong(0)
        self._ring: ctypes.Array[ctypes.c_uint32] | None = None
        """The kernel's ring of events: shows without a system call whether there are any."""
        self._set_up()

    def _set_up(self) -> None:
        assert self._numbers is not None
        self._context.value = 0
        number = ctypes.c_long(self._numbers.setup)
        self._try("io_setup", number, self._depth, ctypes.byref(self._context))
        ring = (ctypes.c_uint32 * (_MAGIC + 1)).from_address(self._context.value)
        self._ring = ring if ring[_MAGIC] == _RING_MAGIC else None
        try:  # a sandbox may allow io_setup and block these
            self._try("io_submit", self._submit_number, self._context, self._nothing, self._at[0])
            self._try(
                *("io_getevents", self._getevents_number, self._context),
                *(self._nothing, self._nothing, self._events_at, None),
            )
        except QueueRefusedError:
            self._destroy()
            raise

    def _try(self, name: str, *arguments: object) -> None:
        if self._call(*arguments) < 0:
            number = ctypes.get_errno()
            cause = _HINTS.get(number, os.strerror(number))
            code = errno.errorcode.get(number, number)
            raise QueueRefusedError(f"no Linux AIO: {name} returned {code}: {cause}")

    def submit(
        self, slot: int, *, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        """Submit a transfer of `size` bytes; raises OSError if the kernel rejects it."""
        if not self._context.value:
            self._set_up()
        what = _WRITE if is_write else _READ
        block = (slot, 0, 0, what, 0, descriptor, address, size, offset, 0, 0, 0)
        _BLOCK.pack_into(self._blocks, _BLOCK.size * slot, *block)
        if self._call(self._submit_number, self._context, self._one, self._at[slot]) != 1:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def reap(self, *, waits: bool) -> list[Event]:
        """Return the completed transfers; with `waits`, block until there is at least one."""
        if not waits:
            ring = self._ring
            if ring is not None and ring[_HEAD] == ring[_TAIL]:
                return []
        call, least = (self._call, self._one) if waits else (self._poll, self._nothing)
        while True:
            count = call(
                *(self._getevents_number, self._context, least, self._depth, self._events_at, None)
            )
            if count >= 0:
                break
            number = ctypes.get_errno()
            if number != errno.EINTR:  # a signal: its Python handler has run by now
                raise OSError(number, os.strerror(number))
        ended = memoryview(self._events)[: _EVENT.size * count]
        return [(slot, result) for slot, _, result, _ in _EVENT.iter_unpack(ended)]

    def reset(self) -> None:
        """Wait until every transfer has ended, and discard the results."""
        self._destroy()

    def close(self) -> None:
        """Reset the queue, and release it; the next transfer opens a new one."""
        self._destroy()

    def _destroy(self) -> None:
        assert self._numbers is not None
        if self._context.value:
            self._ring = None
            self._call(ctypes.c_long(self._numbers.destroy), self._context)  # waits for transfers
            self._context.value = 0


class QueuePool:
    """Queues that lanes reuse one after another, as destroying one takes the kernel tens of ms.

    Context manager: destroys all of them on exit.
    """

    def __init__(self) -> None:
        self._idle: dict[int, list[_PooledQueue]] = {}
        """Unused queues by depth."""
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        queues = [queue for idle in self._idle.values() for queue in idle]
        self._idle.clear()
        if queues:
            with ThreadPoolExecutor(len(queues)) as pool:  # concurrently: as fast as one
                list(pool.map(KernelQueue.close, queues))

    def open(self, depth: int) -> Queue:
        """Return a queue whose `close` returns it to the pool. Raises QueueRefusedError."""
        with self._lock:
            idle = self._idle.get(depth)
            if idle:
                return idle.pop()
        return _PooledQueue(depth, self)

    def put(self, depth: int, queue: _PooledQueue) -> None:
        """Store a queue without transfers for the next lane."""
        with self._lock:
            self._idle.setdefault(depth, []).append(queue)


class _PooledQueue(KernelQueue):
    def __init__(self, depth: int, pool: QueuePool) -> None:
        super().__init__(depth)
        self._slots = depth
        self._pool = pool

    def close(self) -> None:
        """Return the queue to the pool."""
        self._pool.put(self._slots, self)


def _address(memory: bytearray) -> int:
    return ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory))
