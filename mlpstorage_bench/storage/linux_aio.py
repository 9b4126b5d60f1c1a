"""Linux native AIO: one thread submits many transfers to the kernel and collects the results.

The same interface as fio's engine libaio, without that library: io_setup(2), io_submit(2),
io_getevents(2) and io_destroy(2). Control blocks are packed into memory that is allocated once.
Filesystems move files opened with O_DIRECT concurrently; other files they move one after another,
within io_submit.
"""

from __future__ import annotations

import ctypes
import errno
import select
import struct
import time
from collections.abc import Sequence

from mlpstorage_bench.storage.aio_context import AioContext
from mlpstorage_bench.storage.kernel_queue import Event, QueueRefusedError
from mlpstorage_bench.storage.system_calls import address_of, last_error
from mlpstorage_bench.storage.wake_event import WakeEvent

_POLL = 5
"""Operation that ends when a descriptor is readable (Linux 4.18); 0 reads and 1 writes."""
_BLOCK = struct.Struct("=Q56x")
"""struct iocb: data that its event repeats; the rest is 0 but for the following."""
_TRANSFER = struct.Struct("=IiQQq")
_TRANSFER_AT = 16
"""A part of struct iocb: operation and priority, descriptor; address, size, offset."""
_POINTER_BYTES = 8
_SLICE_NS = 1_000_000
"""Longest wait between two looks at the wake event, on a kernel that cannot wait for it."""


class LinuxAio:
    """A kernel AIO queue with `slots` slots. Raises QueueRefusedError.

    The slot after the last one waits for the wake event.
    """

    moves_buffered = False

    def __init__(self, slots: int) -> None:
        self._wake_slot = slots
        self._blocks = bytearray(b"".join(_BLOCK.pack(slot) for slot in range(slots + 1)))
        self._first = address_of(self._blocks)
        self._pointers = [self._first + _BLOCK.size * slot for slot in range(slots + 1)]
        batch = bytearray(_POINTER_BYTES * (slots + 1))
        self._batch_at = address_of(batch)
        self._batch = memoryview(batch).cast("Q")
        """Addresses of the prepared control blocks; the last one is that of the wake slot."""
        self._batch[slots] = self._pointers[slots]
        self._prepared = 0
        self._rejected: list[Event] = []
        self._wake = WakeEvent()
        try:
            self._context = AioContext(slots + 1)
        except QueueRefusedError:
            self._wake.close()
            raise
        self._is_armed = False
        """Whether the wake slot is in flight."""
        self._polls_wake = True

    def register_memory(self, areas: Sequence[memoryview]) -> bool:
        """Return False: Linux AIO maps memory for each transfer."""
        del areas
        return False

    def prepare(
        self, slot: int, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        """Put a transfer of `size` bytes between memory and a file into a slot."""
        _TRANSFER.pack_into(
            self._blocks, (slot << 6) + _TRANSFER_AT, is_write, descriptor, address, size, offset
        )
        prepared = self._prepared
        self._batch[prepared] = self._pointers[slot]
        self._prepared = prepared + 1

    def submit(self) -> None:
        """Give all prepared slots to the kernel; `reap` returns errors of those it rejects."""
        count = self._prepared
        if count == 0:
            return
        self._context.set_up()
        begin = 0
        while begin < count:
            done = self._context.submit(count - begin, self._batch_at + _POINTER_BYTES * begin)
            if done <= 0:  # it rejected the first one
                slot = (self._batch[begin] - self._first) // _BLOCK.size
                self._rejected.append((slot, -ctypes.get_errno()))
            begin += max(1, done)
        self._prepared = 0

    def reap(self, timeout_ns: int | None) -> list[Event]:
        """Return the ended slots; if there are none, wait for one up to `timeout_ns`."""
        events = self._context.take_events()
        if self._is_armed and events:
            events = self._of_slots(events)
        if self._rejected:
            events += self._rejected
            self._rejected.clear()
        if events or timeout_ns == 0:
            return events
        return self._wait(timeout_ns)

    def _of_slots(self, events: list[Event]) -> list[Event]:
        kept = [event for event in events if event[0] != self._wake_slot]
        self._is_armed = len(kept) == len(events)
        return kept

    def _wait(self, timeout_ns: int | None) -> list[Event]:
        self._context.set_up()
        if self._polls_wake and not self._is_armed:
            self._arm()
        if not self._polls_wake:
            return self._wait_in_slices(timeout_ns)
        events = self._of_slots(self._context.wait(1, timeout_ns))
        if not self._is_armed:
            self._wake.take()
        return events

    def _arm(self) -> None:
        """Wait for the wake event. It may be set already: then that ends at once."""
        at = _TRANSFER_AT + _BLOCK.size * self._wake_slot
        _TRANSFER.pack_into(self._blocks, at, _POLL, self._wake.descriptor, select.POLLIN, 0, 0)
        self._is_armed = True
        if self._context.submit(1, self._batch_at + _POINTER_BYTES * self._wake_slot) != 1:
            self._is_armed = False
            if ctypes.get_errno() != errno.EINVAL:
                raise last_error()
            self._polls_wake = False

    def _wait_in_slices(self, timeout_ns: int | None) -> list[Event]:
        end_ns = None if timeout_ns is None else time.monotonic_ns() + timeout_ns
        while True:
            left_ns = _SLICE_NS if end_ns is None else end_ns - time.monotonic_ns()
            events = self._context.wait(1, max(0, min(left_ns, _SLICE_NS)))
            if events or left_ns <= 0 or self._wake.take():
                return events

    def wake(self) -> None:
        """Make a `reap` that waits return, now or when it begins; any thread may call it."""
        self._wake.set()

    def reset(self) -> None:
        """Wait until every slot has ended, and discard the results."""
        self._context.destroy()
        self._prepared = 0
        self._rejected.clear()
        self._is_armed = False

    def close(self) -> None:
        """Reset the queue, and release it."""
        self.reset()
        self._wake.close()
