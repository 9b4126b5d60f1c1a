"""Linux native AIO: transfers that the kernel has all at once, given and taken back by one thread.

As fio's engine libaio has it, without its library: io_setup(2), io_submit(2), io_getevents(2) and
io_destroy(2) through the C library's `syscall`. A transfer's control block is packed into memory
that is taken once. A filesystem moves files that were opened with O_DIRECT in this way at the same
time; others it moves one after another, within io_submit.
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
"""The end of a transfer: its slot, and the bytes that were moved, or minus an errno."""


class Queue(Protocol):
    """Transfers with the kernel, each in a slot of its own. For one thread."""

    def submit(
        self, slot: int, *, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        """Have the kernel move `size` bytes of memory to or from a file; OSError when it refuses.

        `address` is that of the memory, `offset` that in the file.
        """
        ...

    def reap(self, *, waits: bool) -> list[Event]:
        """Return the transfers that have ended; `waits` for one, if there is none yet."""
        ...

    def forget(self) -> None:
        """Wait until the kernel has ended every transfer, and forget them all."""
        ...

    def close(self) -> None:
        """Do so, and give the queue back."""
        ...


class QueueRefusedError(MlpsError):
    """The host gives no queue: chunks move one after another instead, and the results say so."""


class _Calls(NamedTuple):
    """Numbers of the system calls."""

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
    errno.EAGAIN: "all of the host's queues are taken (raise fs.aio-max-nr)",
    errno.ENOSYS: "this kernel has none",
    errno.EPERM: "a sandbox forbids it",
}
_READ, _WRITE = 0, 1
_BLOCK = struct.Struct("=QIIHhIQQqQII")
"""struct iocb: data, key, flags; operation, priority, descriptor; address, size, offset."""
_EVENT = struct.Struct("=QQqq")
"""struct io_event: data, control block, result, second result."""
_HEAD, _TAIL, _MAGIC = 2, 3, 4
_RING_MAGIC = 0xA10A10A1


class KernelQueue:
    """A queue of the kernel's with `depth` slots."""

    def __init__(self, depth: int) -> None:
        self._numbers = _CALLS.get(platform.machine()) if sys.maxsize > 1 << 32 else None
        if self._numbers is None:
            raise QueueRefusedError(f"Linux AIO is not known on {platform.machine()}")
        self._depth = ctypes.c_long(depth)
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._poll = ctypes.PyDLL(None, use_errno=True).syscall
        """The same for calls that return at once: without giving up the interpreter's lock."""
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
        """The kernel's ring of events, to look without a call whether there are any."""
        self._set_up()

    def _set_up(self) -> None:
        assert self._numbers is not None
        self._context.value = 0
        number = ctypes.c_long(self._numbers.setup)
        self._try("io_setup", number, self._depth, ctypes.byref(self._context))
        ring = (ctypes.c_uint32 * (_MAGIC + 1)).from_address(self._context.value)
        self._ring = ring if ring[_MAGIC] == _RING_MAGIC else None
        try:  # a sandbox may allow the one and forbid the other
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
            raise QueueRefusedError(f"no Linux AIO: {name} gave {code}: {cause}")

    def submit(
        self, slot: int, *, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        """Have the kernel move `size` bytes to or from a file; OSError when it refuses."""
        if not self._context.value:
            self._set_up()
        what = _WRITE if is_write else _READ
        block = (slot, 0, 0, what, 0, descriptor, address, size, offset, 0, 0, 0)
        _BLOCK.pack_into(self._blocks, _BLOCK.size * slot, *block)
        if self._call(self._submit_number, self._context, self._one, self._at[slot]) != 1:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def reap(self, *, waits: bool) -> list[Event]:
        """Return the transfers that have ended; `waits` for one, if there is none yet."""
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
            if number != errno.EINTR:  # a signal: Python has looked at it before this line
                raise OSError(number, os.strerror(number))
        ended = memoryview(self._events)[: _EVENT.size * count]
        return [(slot, result) for slot, _, result, _ in _EVENT.iter_unpack(ended)]

    def forget(self) -> None:
        """Wait until the kernel has ended every transfer, and forget them all."""
        self._destroy()

    def close(self) -> None:
        """Do so, and give the queue back; the next transfer takes a new one."""
        self._destroy()

    def _destroy(self) -> None:
        assert self._numbers is not None
        if self._context.value:
            self._ring = None
            self._call(ctypes.c_long(self._numbers.destroy), self._context)  # waits for transfers
            self._context.value = 0


class KeptQueues:
    """Queues that go from one lane to the next: the kernel takes tens of ms to take one back.

    A context manager: afterwards none is left.
    """

    def __init__(self) -> None:
        self._idle: dict[int, list[_Kept]] = {}
        """By depth."""
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        queues = [queue for idle in self._idle.values() for queue in idle]
        self._idle.clear()
        if queues:
            with ThreadPoolExecutor(len(queues)) as pool:  # it takes all at once no longer than one
                list(pool.map(KernelQueue.close, queues))

    def open(self, depth: int) -> Queue:
        """Return a queue; closing it leaves it for the next. Raises QueueRefusedError."""
        with self._lock:
            idle = self._idle.get(depth)
            if idle:
                return idle.pop()
        return _Kept(depth, self)

    def keep(self, depth: int, queue: _Kept) -> None:
        """Have a queue for the next lane, with no transfer in it."""
        with self._lock:
            self._idle.setdefault(depth, []).append(queue)


class _Kept(KernelQueue):
    def __init__(self, depth: int, keeper: KeptQueues) -> None:
        super().__init__(depth)
        self._slots = depth
        self._keeper = keeper

    def close(self) -> None:
        """Leave it for the next lane."""
        self._keeper.keep(self._slots, self)


def _address(memory: bytearray) -> int:
    return ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory))
