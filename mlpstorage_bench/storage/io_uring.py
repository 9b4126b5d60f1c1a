"""io_uring: one thread submits many transfers and calls to the kernel and collects the results.

Unlike Linux AIO it also moves buffered files concurrently, opens and syncs files, and takes memory
that the kernel has mapped once.

No library is used: liburing's Python packages need a compiler, or a processor with AVX-512.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mlpstorage_bench.storage.files import DONTCACHE, WRITE_BACK
from mlpstorage_bench.storage.io_uring_layout import (
    ENTER,
    ENTER_GETEVENTS,
    ENTRY,
    FSYNC,
    IN_WORKER,
    OPENAT,
    POLL_ADD,
    READ,
    READ_FIXED,
    SYNC_FILE_RANGE,
    TASKRUN,
    WORD,
)
from mlpstorage_bench.storage.io_uring_ring import Ring
from mlpstorage_bench.storage.kernel_queue import Event, QueueRefusedError
from mlpstorage_bench.storage.system_calls import ORDERS_LOADS, order_loads
from mlpstorage_bench.storage.wake_event import WakeEvent

_WAKE = 1 << 32
"""User data of the wait for the wake event; that of a slot is its number."""
_OPEN = 1 << 33
"""Added to the user data of a slot that opens a file."""
_FROM_CURRENT_DIRECTORY = -100
_DATA_ONLY = 1


_CREATES = os.O_CREAT | os.O_EXCL


class _Opening(NamedTuple):
    """An open of a file."""

    path: bytes
    """The kernel may read it."""
    creates: bool
    """Whether it succeeds only if it creates the file."""


class IoUring:
    """An io_uring with `slots` slots. Raises QueueRefusedError.

    The kernel takes what was stored into the rings within a system call of the same thread, so that
    no order of memory is needed on the way there. Files are not registered: transfers take as long
    (1.7 us of CPU time for 4 KiB in the page cache), and each file would cost two system calls.
    """

    moves_buffered = True

    def __init__(self, slots: int, *, uses_workers: bool = False) -> None:
        """Set the queue up; `uses_workers`: workers of the kernel make transfers and open files.

        By itself the kernel does that within the call, with all others behind them, on
        filesystems that it takes to return early: those that can be polled, as all FUSE can.
        """
        self._in_worker = IN_WORKER if uses_workers else 0
        self._read = READ | self._in_worker
        self._read_fixed = READ_FIXED | self._in_worker
        """Operations and flags; those of writes are larger by 1."""
        self._tail = 0
        """Number of entries that were filled."""
        self._rejected: list[Event] = []
        self._opening: dict[int, _Opening] = {}
        """Opens that are prepared or with the kernel, by slot."""
        self._begin = self._end = 0
        """Addresses of the first area of registered memory."""
        self._areas: list[tuple[int, int]] = []
        """The same of all areas, by their number."""
        self.memory_refusal = ""
        """Why the kernel refused to register memory; '' if it did not."""
        self._wake = WakeEvent()
        try:
            self._ring = Ring(slots + 1)  # one entry for the wake event
        except QueueRefusedError:
            self._wake.close()
            raise
        self._ring.allow_workers(slots)
        self._is_armed = False
        """Whether the wait for the wake event is in flight."""

    def register_memory(self, areas: Sequence[memoryview]) -> bool:
        """Have the kernel map the areas once, instead of for each transfer.

        False if the kernel refuses: `memory_refusal` says why, and transfers go on without.
        """
        self._begin = self._end = 0
        self._areas = self._ring.register_memory(areas)
        self.memory_refusal = self._ring.memory_refusal
        if self._areas:
            self._begin, self._end = self._areas[0]
        return not self.memory_refusal

    def prepare(
        self, slot: int, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        """Put a transfer of `size` bytes between memory and a file into a slot."""
        if self._begin <= address <= self._end - size:
            operation, area = self._read_fixed + is_write, 0
        elif len(self._areas) > 1:
            operation, area = self._operation(is_write, address, size)
        else:
            operation, area = self._read + is_write, 0
        ring, tail = self._ring, self._tail
        at = (tail & ring.entry_mask) << 6
        ENTRY.pack_into(
            ring.entries, at, operation, descriptor, offset, address, size, 0, slot, area
        )
        self._tail = tail + 1

    def _operation(self, is_write: bool, address: int, size: int) -> tuple[int, int]:
        for number, (begin, end) in enumerate(self._areas):
            if begin <= address <= end - size:
                return self._read_fixed + is_write, number
        return self._read + is_write, 0

    def prepare_uncached(
        self, slot: int, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        """Like `prepare`, through the page cache but leaving nothing in it.

        A filesystem that cannot do that ends the slot with EOPNOTSUPP (see `uncached_refusal`).
        """
        self._put(self._read + is_write, descriptor, offset, address, size, DONTCACHE, slot)

    def prepare_write_back(self, slot: int, descriptor: int, size: int, offset: int) -> None:
        """Put the write-back of a range's pages into a slot; it ends when the device has them."""
        self._put(SYNC_FILE_RANGE, descriptor, offset, 0, size, WRITE_BACK, slot)

    def prepare_sync(self, slot: int, descriptor: int, data_only: bool) -> None:
        """Put an fsync, or with `data_only` an fdatasync, of a file into a slot."""
        self._put(FSYNC, descriptor, 0, 0, 0, _DATA_ONLY if data_only else 0, slot)

    def prepare_open(self, slot: int, path: bytes, flags: int, mode: int) -> None:
        """Put the opening of a file into a slot; its result is the descriptor."""
        if b"\0" in path:
            raise ValueError("path: embedded null byte")
        self._opening[slot] = _Opening(path, flags & _CREATES == _CREATES)
        address = ctypes.cast(ctypes.c_char_p(path), ctypes.c_void_p).value or 0
        self._put(
            OPENAT | self._in_worker, _FROM_CURRENT_DIRECTORY, 0, address, mode, flags, slot | _OPEN
        )

    def _put(
        self,
        operation: int,
        descriptor: int,
        offset: int,
        address: int,
        size: int,
        flags: int,
        data: int,
    ) -> None:
        fields = (operation, descriptor, offset, address, size, flags, data, 0)
        ENTRY.pack_into(self._ring.entries, self._ring.at(self._tail), *fields)
        self._tail += 1

    def submit(self) -> None:
        """Give all prepared slots to the kernel; `reap` returns errors of those it rejects."""
        ring = self._ring
        ring.sq_tail[0] = tail = self._tail = self._tail & WORD
        while count := (tail - ring.sq_head[0]) & WORD:
            # The interpreter's lock is released: this takes 2 to 90 us for each transfer.
            done = ring.call(ENTER, ring.descriptor, count, 0, 0, None, 0)
            if done == count:
                return
            if done < 0 and ctypes.get_errno() != errno.EINTR:
                error = ctypes.get_errno()
                self._rejected += [(data, -error) for data in ring.take_back(count)]
                self._tail = ring.sq_tail[0]
                return

    def reap(self, timeout_ns: int | None) -> list[Event]:
        """Return the ended slots; if there are none, wait for one up to `timeout_ns`."""
        ring = self._ring
        if (
            timeout_ns == 0
            and ring.cq_head[0] == ring.cq_tail[0]
            and not (ring.sq_flags[0] & TASKRUN or self._rejected)
        ):
            return []
        events = self._take()
        if events or timeout_ns == 0:
            return events
        if not self._is_armed:
            self._arm()
        end_ns = None if timeout_ns is None else time.monotonic_ns() + timeout_ns
        while True:
            is_over = self._ring.wait(timeout_ns)
            events = self._take()
            if not self._is_armed:
                self._wake.take()
            if events or is_over or not self._is_armed:
                return events
            if end_ns is not None:  # a signal: its Python handler has run by now
                timeout_ns = max(0, end_ns - time.monotonic_ns())

    def _take(self) -> list[Event]:
        """Return the events in the ring. A system call is made only if the kernel asks for it."""
        ring = self._ring
        head, tail = ring.cq_head[0], ring.cq_tail[0]
        if head == tail:
            if ring.sq_flags[0] & TASKRUN:
                ring.quick_call(ENTER, ring.descriptor, 0, 0, ENTER_GETEVENTS, None, 0)
                tail = ring.cq_tail[0]
            if head == tail and not self._rejected:
                return []
        if not ORDERS_LOADS:
            order_loads()
        events = ring.ended(head, tail)
        ring.cq_head[0] = tail
        if self._rejected:
            events += self._rejected
            self._rejected.clear()
        return self._of_slots(events) if self._is_armed or self._opening else events

    def _of_slots(self, events: list[Event]) -> list[Event]:
        slots = []
        for data, result in events:
            if data == _WAKE:
                self._is_armed = False
            elif data & _OPEN:
                slots.append((data ^ _OPEN, result))
                self._opening.pop(data ^ _OPEN, None)
            else:
                slots.append((data, result))
        return slots

    def _arm(self) -> None:
        """Wait for the wake event. It may be set already: then that ends at once."""
        poll = (POLL_ADD, self._wake.descriptor, 0, 0, 0, select.POLLIN, _WAKE, 0)
        self._is_armed = True
        try:
            self._tail = self._ring.send_first(ENTRY.pack(*poll), self._tail)
        except OSError:
            self._is_armed = False
            raise

    def wake(self) -> None:
        """Make a `reap` that waits return, now or when it begins; any thread may call it."""
        self._wake.set()

    def reset(self) -> None:
        """Wait until every slot has ended, and discard the results; files just opened are closed.

        Those that were also created are removed, as nobody learns of them. What is in flight is
        taken from the rings, as an interrupt may have come between a system call and a note of it.
        Signals do not end the wait.
        """
        ring = self._ring
        self._tail = ring.sq_tail[0] = ring.sq_head[0]
        self._wake.set()  # ends its wait
        while ring.sq_head[0] != ring.cq_tail[0]:
            ring.wait_through_signals((ring.sq_head[0] - ring.cq_head[0]) & WORD)
        events = ring.ended(ring.cq_head[0], ring.cq_tail[0])
        ring.cq_head[0] = ring.cq_tail[0]  # first: no file must be closed twice
        for data, result in events:
            if data & _OPEN and result >= 0:
                os.close(result)
                opening = self._opening[data ^ _OPEN]
                if opening.creates:
                    with suppress(OSError):  # the reset has a cause, which is reported
                        Path(os.fsdecode(opening.path)).unlink()
        self._rejected.clear()
        self._opening.clear()
        self._is_armed = False
        if self._wake.take() > 1:  # another thread set it too
            self._wake.set()

    def close(self) -> None:
        """Reset the queue, and release it."""
        if self._ring.is_open:
            self.reset()
        self._ring.close()
        self._wake.close()
