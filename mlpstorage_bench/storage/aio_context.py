"""A kernel AIO context: its system calls, and its ring of events in memory."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mlpstorage_bench.storage.kernel_queue import Event, QueueRefusedError
from mlpstorage_bench.storage.system_calls import (
    HOLDING_LIBC,
    ORDERS_LOADS,
    address_of,
    last_error,
    order_loads,
    refusal,
    system_call,
)


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
    errno.ENOSYS: "this kernel does not support it",
    errno.EPERM: "a sandbox blocks it",
}
_EVENT = struct.Struct("=Q8xq8x")
"""struct io_event: data, control block, result, second result; all but data and result skipped."""
_HEADER_BYTES = 32
_EVENTS, _HEAD, _TAIL, _MAGIC, _INCOMPATIBLE, _HEADER_SIZE = 1, 2, 3, 4, 6, 7
"""Words of the header of struct aio_ring: number of events that follow it, and others."""
_RING_MAGIC = 0xA10A10A1


_LIMIT = "/proc/sys/fs/aio-max-nr"
_IN_USE = "/proc/sys/fs/aio-nr"


def _limit_hint(capacity: int) -> str:
    """Return what a refusal for the host's limit on AIO requests means, and what helps."""
    seen = ""
    with suppress(OSError):  # a container may hide them
        limit, in_use = (Path(path).read_text().strip() for path in (_LIMIT, _IN_USE))
        seen = f"fs.aio-max-nr is {limit}, of which {in_use} are in use, and "
    return (
        f"the host's limit on AIO requests is reached ({seen}this queue asks for {capacity}): "
        "raise fs.aio-max-nr, or run fewer ranks on the host"
    )


class AioContext:
    """A context of `capacity` control blocks, which `destroy` ends and `set_up` makes again.

    Raises QueueRefusedError.
    """

    def __init__(self, capacity: int) -> None:
        numbers = _CALLS.get(platform.machine()) if sys.maxsize > 1 << 32 else None
        if numbers is None:
            raise QueueRefusedError(f"Linux AIO call numbers are unknown for {platform.machine()}")
        self._setup_number = ctypes.c_long(numbers.setup)
        self._destroy_number = ctypes.c_long(numbers.destroy)
        self._submit_number = ctypes.c_long(numbers.submit)
        self._getevents_number = ctypes.c_long(numbers.getevents)
        self._call, self._quick_call = system_call(), system_call(HOLDING_LIBC)
        self._capacity = ctypes.c_long(capacity)
        self._copies = bytearray(_EVENT.size * capacity)
        self._copies_at = ctypes.c_void_p(address_of(self._copies))
        self._id = ctypes.c_ulong(0)
        """Address of the ring; 0 if there is none now."""
        self._header: memoryview | None = None
        """Words of the ring's header, if events can be taken without a system call."""
        self._ring = memoryview(b"")
        self.set_up()

    def set_up(self) -> None:
        """Make the context, unless there is one."""
        if self._id.value:
            return
        self._try("io_setup", self._setup_number, self._capacity, ctypes.byref(self._id))
        none = ctypes.c_long(0)
        try:  # a sandbox may allow io_setup and block these
            self._try("io_submit", self._submit_number, self._id, none, self._copies_at)
            getevents = (self._getevents_number, self._id, none, none, self._copies_at, None)
            self._try("io_getevents", *getevents)
        except QueueRefusedError:
            self.destroy()
            raise
        header = (ctypes.c_uint32 * 8).from_address(self._id.value)
        stated = header[_MAGIC], header[_INCOMPATIBLE], header[_HEADER_SIZE]
        if stated == (_RING_MAGIC, 0, _HEADER_BYTES):
            ring = ctypes.c_char * (_EVENT.size * header[_EVENTS])
            self._ring = memoryview(ring.from_address(self._id.value + _HEADER_BYTES))
            self._header = memoryview(header).cast("B").cast("I")

    def _try(self, name: str, *arguments: object) -> None:
        if self._call(*arguments) < 0:
            hints = _HINTS | {errno.EAGAIN: _limit_hint(self._capacity.value)}
            raise QueueRefusedError(f"no Linux AIO: {refusal(name, hints)}")

    def submit(self, count: int, pointers: int) -> int:
        """Submit control blocks from an array of their addresses; return how many, or -1.

        The interpreter's lock is released: the transfer of a buffered file ends in this call.
        """
        at = ctypes.c_void_p(pointers)
        return self._call(self._submit_number, self._id, ctypes.c_long(count), at)

    def take_events(self) -> list[Event]:
        """Return the events that are there now."""
        header = self._header
        if header is None:
            return self.wait(0, 0) if self._id.value else []
        head, tail = header[_HEAD], header[_TAIL]
        if head == tail:
            return []
        if not ORDERS_LOADS:
            order_loads()
        begin, end, ring = _EVENT.size * head, _EVENT.size * tail, self._ring
        if head < tail:
            events = list(_EVENT.iter_unpack(ring[begin:end]))
        else:
            events = list(_EVENT.iter_unpack(ring[begin:]))
            events += _EVENT.iter_unpack(ring[:end])
        header[_HEAD] = tail  # the kernel lets a process do this, and libaio and fio do it
        return events

    def wait(self, least: int, timeout_ns: int | None) -> list[Event]:
        """Wait for `least` events, up to a time; return all that are there."""
        call = self._call if least else self._quick_call
        end_ns = None if timeout_ns is None else time.monotonic_ns() + timeout_ns
        arguments = (self._getevents_number, self._id, ctypes.c_long(least), self._capacity)
        while True:
            limit = None if timeout_ns is None else (ctypes.c_long * 2)(*divmod(timeout_ns, 10**9))
            count = call(*arguments, self._copies_at, limit)
            if count >= 0:
                return list(_EVENT.iter_unpack(memoryview(self._copies)[: _EVENT.size * count]))
            if ctypes.get_errno() != errno.EINTR:
                raise last_error()
            if end_ns is not None:  # a signal: its Python handler has run by now
                timeout_ns = max(0, end_ns - time.monotonic_ns())

    def destroy(self) -> None:
        """Wait until every transfer has ended, and discard the results. Signals do not end it."""
        self._header, self._ring = None, memoryview(b"")
        if self._id.value:
            self._call(self._destroy_number, self._id)
            self._id.value = 0
