"""The memory and the system calls of an io_uring(7): two rings shared with the kernel."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import sys
from collections.abc import Sequence
from contextlib import suppress

from mlpstorage_bench.storage.io_uring_layout import (
    DATA,
    ENTER,
    ENTER_EXT_ARG,
    ENTER_GETEVENTS,
    ENTRY,
    EVENT,
    FEATURES,
    HINTS,
    LARGEST_AREA,
    MACHINES,
    NEEDED,
    PARAMETERS,
    PROBED,
    REGISTER,
    REGISTER_BUFFERS,
    REGISTER_PROBE,
    REGISTER_WORKERS,
    SETUP,
    SETUP_FLAGS,
    SQES_OFFSET,
    TIMESPEC,
    UNREGISTER_BUFFERS,
    VECTOR,
    WAIT,
    WAIT_BYTES,
    WORD,
)
from mlpstorage_bench.storage.kernel_queue import Event, QueueRefusedError
from mlpstorage_bench.storage.system_calls import (
    HOLDING_LIBC,
    address_of,
    last_error,
    refusal,
    system_call,
)


class Ring:
    """Both rings of an io_uring with at least `entries` entries each.

    Raises QueueRefusedError.
    """

    def __init__(self, entries: int) -> None:
        if platform.machine() not in MACHINES or sys.maxsize < 1 << 32:
            raise QueueRefusedError(f"io_uring's layout is unknown for {platform.machine()}")
        self.call, self.quick_call = system_call(), system_call(HOLDING_LIBC)
        """Without and with the interpreter's lock held."""
        self._limit = bytearray(TIMESPEC.size)
        self._limited = bytearray(WAIT.pack(0, 0, 0, address_of(self._limit)))
        self._limited_at = ctypes.c_void_p(address_of(self._limited))
        self._signals = bytearray(b"\xff" * 8)
        self._unbroken = bytearray(WAIT.pack(address_of(self._signals), len(self._signals), 0, 0))
        self._unbroken_at = ctypes.c_void_p(address_of(self._unbroken))
        """Arguments of a wait with a time limit, and of one that signals do not end."""
        self.descriptor = -1
        self.is_open = True
        self.memory_refusal = ""
        """Why the kernel refused to register memory; '' if it did not."""
        self._has_memory = False
        self._mappings: list[mmap.mmap] = []
        self._views: list[memoryview] = []
        try:
            self._open(entries)
        except BaseException:
            self.close()
            raise

    def _open(self, entries: int) -> None:
        parameters = self._set_up(entries)
        entries_made, events, _, _, _, features = parameters[:6]
        sent, ended = parameters[7:16], parameters[16:25]
        if features & FEATURES != FEATURES:
            raise QueueRefusedError("no io_uring: it needs Linux 5.11 or newer")
        assert events > entries_made >= entries, "there is always space for an event"
        size = max(sent[6] + 4 * entries_made, ended[5] + EVENT.size * events)
        words = self._kept(self._map(size, 0).cast("I"))
        self.entry_mask, self.event_mask = entries_made - 1, events - 1
        counters = [self._kept(words[sent[place] // 4 :]) for place in (0, 1, 4)]
        self.sq_head, self.sq_tail, self.sq_flags = counters
        """Word 0: the number of entries that the kernel has taken; that it may take; flags."""
        self.cq_head, self.cq_tail = (self._kept(words[ended[place] // 4 :]) for place in (0, 1))
        """Word 0: the number of events that were read; that the kernel has written."""
        octets = self._kept(words.cast("B"))
        self.events = self._kept(octets[ended[5] : ended[5] + EVENT.size * events])
        self.entries = self._map(ENTRY.size * entries_made, SQES_OFFSET)
        order = self._kept(words[sent[6] // 4 :])
        for number in range(entries_made):
            order[number] = number  # entries are sent in the order in which they lie
        self._check_calls()

    def _set_up(self, entries: int) -> tuple[int, ...]:
        for flags in SETUP_FLAGS:
            memory = bytearray(PARAMETERS.size)
            PARAMETERS.pack_into(memory, 0, 0, 0, flags, *[0] * 22)
            at = ctypes.c_void_p(address_of(memory))
            self.descriptor = self.call(SETUP, entries, at)
            if self.descriptor >= 0:
                return PARAMETERS.unpack(memory)
            if ctypes.get_errno() != errno.EINVAL:
                break
        raise QueueRefusedError(f"no io_uring: {refusal('io_uring_setup', HINTS)}")

    def _map(self, size: int, offset: int) -> memoryview:
        try:
            mapping = mmap.mmap(self.descriptor, size, mmap.MAP_SHARED, offset=offset)
        except OSError as error:
            raise QueueRefusedError(f"no io_uring: mapping its memory: {error.strerror}") from error
        self._mappings.append(mapping)
        with suppress(OSError):  # a child process has no business with it
            mapping.madvise(mmap.MADV_DONTFORK)
        return self._kept(memoryview(mapping))

    def _kept(self, view: memoryview) -> memoryview:
        """Keep a view of the memory, to release it before the memory."""
        self._views.append(view)
        return view

    def _check_calls(self) -> None:
        """Refuse a sandbox that blocks the other calls, and a kernel without the operations."""
        probe = bytearray(16 + 8 * PROBED)
        if self.register(REGISTER_PROBE, address_of(probe), PROBED) < 0:
            raise QueueRefusedError(f"no io_uring: {refusal('io_uring_register', HINTS)}")
        if self.call(ENTER, self.descriptor, 0, 0, ENTER_GETEVENTS, None, 0) < 0:
            raise QueueRefusedError(f"no io_uring: {refusal('io_uring_enter', HINTS)}")
        if not all(probe[16 + 8 * operation + 2] & 1 for operation in NEEDED):
            raise QueueRefusedError("no io_uring: this kernel lacks operations of it")

    def ended(self, head: int, tail: int) -> list[Event]:
        """Return user data and result of the events between two values of the counters."""
        begin, end = EVENT.size * (head & self.event_mask), EVENT.size * (tail & self.event_mask)
        if begin <= end:  # the ring is never full
            return list(EVENT.iter_unpack(self.events[begin:end]))
        events = list(EVENT.iter_unpack(self.events[begin:]))
        return events + list(EVENT.iter_unpack(self.events[:end]))

    def at(self, number: int) -> int:
        """Return where the entry of this number begins."""
        return ENTRY.size * (number & self.entry_mask)

    def send_first(self, entry: bytes, tail: int) -> int:
        """Send an entry before those that were filled and are not sent; return the new tail.

        Raises OSError if the kernel does not take it.
        """
        head = self.sq_head[0]
        first, free = self.at(head), self.at(tail)
        filled = bytes(self.entries[first : first + ENTRY.size])
        self.entries[free : free + ENTRY.size] = filled
        self.entries[first : first + ENTRY.size] = entry
        self.sq_tail[0] = (head + 1) & WORD
        if self.call(ENTER, self.descriptor, 1, 0, 0, None, 0) == 1:
            return tail + 1
        error = last_error()
        self.entries[first : first + ENTRY.size] = filled
        self.sq_tail[0] = head
        raise error

    def take_back(self, count: int) -> list[int]:
        """Take entries back that the kernel did not take; return their user data."""
        head = self.sq_head[0]
        entries = [ENTRY.unpack_from(self.entries, self.at(head + place)) for place in range(count)]
        self.sq_tail[0] = head
        return [entry[DATA] for entry in entries]

    def wait(self, timeout_ns: int | None) -> bool:
        """Wait until there is an event that was not read.

        Returns True if the time is over, and False after an event or a signal.
        """
        wait = (ENTER, self.descriptor, 0, 1)
        if timeout_ns is None:
            done = self.call(*wait, ENTER_GETEVENTS, None, 0)
        else:
            TIMESPEC.pack_into(self._limit, 0, *divmod(timeout_ns, 10**9))
            flags = ENTER_GETEVENTS | ENTER_EXT_ARG
            done = self.call(*wait, flags, self._limited_at, WAIT_BYTES)
        number = ctypes.get_errno() if done < 0 else 0
        if number not in (0, errno.ETIME, errno.EINTR):
            raise last_error()
        return number == errno.ETIME

    def wait_through_signals(self, count: int) -> None:
        """Wait until there are `count` events that were not read; signals come after the wait."""
        wait = (ENTER, self.descriptor, 0, count, ENTER_GETEVENTS | ENTER_EXT_ARG)
        done = self.call(*wait, self._unbroken_at, WAIT_BYTES)
        if done < 0 and ctypes.get_errno() != errno.EINTR:
            raise last_error()

    def register(self, operation: int, address: int, count: int) -> int:
        """Call io_uring_register(2); returns -1 after an error."""
        return self.call(REGISTER, self.descriptor, operation, ctypes.c_void_p(address), count)

    def allow_workers(self, count: int) -> None:
        """Let the kernel move `count` transfers at once that have to block (Linux 5.15).

        By default it is four per processor: too few for the storage to see all that are in flight.
        """
        limits = memoryview(bytearray(8)).cast("I")
        if self.register(REGISTER_WORKERS, address_of(limits), 2) < 0:  # reads the limits
            return
        limits[0] = max(limits[0], count)
        self.register(REGISTER_WORKERS, address_of(limits), 2)

    def register_memory(self, areas: Sequence[memoryview]) -> list[tuple[int, int]]:
        """Have the kernel map memory for good; return begin and end of the areas by their number.

        Areas above 1 GiB are divided. Returns [] with `memory_refusal` if the kernel refuses.
        """
        if self._has_memory:
            self.register(UNREGISTER_BUFFERS, 0, 0)
        parts = []
        for area in areas:
            begin, size = address_of(area), area.nbytes
            parts += [
                (at, min(at + LARGEST_AREA, begin + size))
                for at in range(begin, begin + size, LARGEST_AREA)
            ]
        vectors = bytearray(b"".join(VECTOR.pack(begin, end - begin) for begin, end in parts))
        self._has_memory = self.register(REGISTER_BUFFERS, address_of(vectors), len(parts)) == 0
        self.memory_refusal = "" if self._has_memory else refusal("io_uring_register", HINTS)
        return parts if self._has_memory else []

    def close(self) -> None:
        """Release the rings' memory and the descriptor."""
        self.is_open = False
        for view in reversed(self._views):
            view.release()
        self._views.clear()
        for mapping in self._mappings:
            mapping.close()
        self._mappings.clear()
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
