"""Samples of what lanes wait for: Python's lock or a processor, and whether a transfer waits too.

The kernel adds up how long threads waited for a processor, but not in which calls, and nothing adds
up waits for Python's lock. So the lanes are looked at every few milliseconds. Nothing is added to
what lanes do.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import CodeType
from typing import Self

from mlpstorage_bench.measure import threads
from mlpstorage_bench.measure.counters import KernelFile

_SAMPLED_AT_ONCE = 4
"""Lanes that one call samples, so that many lanes do not hold Python's lock for long."""
_CHEAP_LANES = 32
"""Lanes up to which each sample looks at code. Python lists the code of all threads or of none,
which takes 2 us for 16 threads and 300 us for 256."""
_RUNNING = b"running"
"""Text of the kernel for a thread that is on a processor or ready to be."""
_WITH_SYMBOL = 1
"""Flag of dladdr1(3), which then returns the symbol's entry as well (RTLD_DL_SYMENT)."""


@dataclass(frozen=True)
class WaitShares:
    """The lanes' waits, by samples."""

    lock: float
    """Share of the lanes' time in which they waited for Python's lock."""
    lock_in_transfers: float = 1.0
    """Part of these waits inside transfers and syncs: few samples make it larger, never smaller."""
    queued_in_transfers: float = 1.0
    """The same of waits for a processor."""


class _Placed:
    """Counts of waits for which the code that waited is known."""

    def __init__(self) -> None:
        self._seen = 0
        self._in_transfers = 0

    def add(self, *, is_in_transfer: bool) -> None:
        self._seen += 1
        self._in_transfers += is_in_transfer

    @property
    def part(self) -> float:
        """Part of the waits inside transfers, as if one more had been seen there."""
        return (self._in_transfers + 1) / (self._seen + 1)


class WaitSampler:
    """Samples what lanes wait for. Context manager.

    `/proc/self/task/<id>/syscall` has the call in which a thread sleeps and its arguments. A thread
    that waits for the interpreter's lock sleeps at an address of the interpreter's own data; locks
    of Python programs lie elsewhere. A thread that is ready to run, and whose clock stands still
    meanwhile, waits for a processor.

    Lanes are looked at while this thread has the lock. Without it, one of the lanes that wait would
    have the lock, so one fewer counts. A lane that is alone therefore never waits.

    A thread changes the function that it is in only with the lock, so the function that is read
    right before is the one that waits.
    """

    def __init__(self, transfers: Collection[CodeType] = frozenset()) -> None:
        self._transfers = transfers
        """Code between the two times of a transfer's or sync's span."""
        self._interpreter = _interpreter_data()
        self._files: dict[int, KernelFile] = {}
        self._next = 0
        self._samples = 0
        self._waiting = 0.0
        """Sum over samples of the share of the lanes that waited for the lock."""
        self._for_lock = _Placed()
        self._for_processor = _Placed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def sample(self, lanes: Mapping[int, int], note_wait: Callable[[int], object] = int) -> None:
        """Look at some of the lanes' threads, in turn: the kernel's id of each, and Python's.

        `note_wait` gets the kernel's id of each that waits inside of a transfer.
        """
        thread_ids = tuple(lanes)
        seen: list[bool] = []
        for _ in range(min(len(thread_ids), _SAMPLED_AT_ONCE)):
            self._next += 1
            thread_id = thread_ids[self._next % len(thread_ids)]
            is_placed = self._next % (1 + (len(lanes) // _CHEAP_LANES) ** 2) == 0
            waits = self._waits_for_lock(
                thread_id, lanes[thread_id] if is_placed else None, note_wait
            )
            seen += [] if waits is None else [waits]
        if seen:
            self._samples += 1
            self._waiting += max(0.0, sum(seen) / len(seen) - 1 / len(lanes))

    def _waits_for_lock(
        self, thread_id: int, python_id: int | None, note_wait: Callable[[int], object] = int
    ) -> bool | None:
        """Return whether a thread waits for the lock; None if the kernel does not tell."""
        if self._interpreter is None:
            return None
        ran_ns = threads.cpu_ns(thread_id)
        is_in_transfer = None if python_id is None else _code_of(python_id) in self._transfers
        text = self._read(thread_id)
        if not text:
            return None
        is_waiting = _sleeps_at(text) in self._interpreter
        place = None
        if is_waiting:
            place = self._for_lock
        elif text.startswith(_RUNNING) and threads.cpu_ns(thread_id) == ran_ns:
            place = self._for_processor
        if place is not None and is_in_transfer is not None:
            place.add(is_in_transfer=is_in_transfer)
            if is_in_transfer:
                note_wait(thread_id)
        return is_waiting

    @property
    def shares(self) -> WaitShares | None:
        """The lanes' waits so far; None if the kernel does not tell."""
        if not self._samples:
            return None
        return WaitShares(
            self._waiting / self._samples, self._for_lock.part, self._for_processor.part
        )

    def _read(self, thread_id: int) -> bytes:
        """Return a thread's call; empty if the kernel does not tell or the thread has ended."""
        if thread_id not in self._files:
            with suppress(OSError):
                self._files[thread_id] = KernelFile(f"/proc/self/task/{thread_id}/syscall")
        file = self._files.get(thread_id)
        return b"" if file is None else file.read()


def _code_of(python_id: int) -> CodeType | None:
    """Return the code of the function in which a thread is; None if it has ended."""
    frame = sys._current_frames().get(python_id)  # noqa: SLF001 - documented, and the only way
    return None if frame is None else frame.f_code


def _sleeps_at(call: bytes) -> int:
    """Return the first argument of the call in which a thread sleeps; 0 if it is not in a call."""
    parts = call.split(None, 2)
    return int(parts[1], 16) if len(parts) > 1 and parts[0] != b"-1" else 0


class _Symbol(ctypes.Structure):
    """Elf64_Sym: an entry of a library's table of symbols."""

    _fields_ = (
        ("name", ctypes.c_uint32),
        ("info", ctypes.c_uint8),
        ("other", ctypes.c_uint8),
        ("section", ctypes.c_uint16),
        ("value", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
    )


def _interpreter_data() -> range | None:
    """Return the addresses of the interpreter's own data; None if they are unknown."""
    try:
        address = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
        look_up = ctypes.CDLL(None).dladdr1
    except (ValueError, AttributeError):
        return None
    library = (ctypes.c_void_p * 4)()
    symbol = ctypes.POINTER(_Symbol)()
    found = look_up(
        *(ctypes.c_void_p(address), library),
        *(ctypes.byref(symbol), ctypes.c_int(_WITH_SYMBOL)),
    )
    return range(address, address + symbol.contents.size) if found and symbol else None
