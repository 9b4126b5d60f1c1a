"""Uses of the lanes' time: work, waits within the host, requests, and storage.

The kernel tells how long each lane's thread was on a processor and how long it waited for one. The
scheduler tells how long lanes waited for requests. Waits for Python's lock are sampled. What is
left of the lanes' time, they waited for storage: in transfers, syncs, or calls that open, create
and remove files, or for another lane that does so.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from mlpstorage_bench.measure import threads
from mlpstorage_bench.measure.counters import KernelFile
from mlpstorage_bench.units import NS_PER_S

_SAMPLED_AT_ONCE = 4
"""Lanes that one call samples, so that many lanes do not hold Python's lock for long."""
_WITH_SYMBOL = 1
"""Flag of dladdr1(3), which then returns the symbol's entry as well (RTLD_DL_SYMENT)."""


@dataclass(frozen=True)
class LaneTime:
    """Seconds of all lanes together, in one window."""

    total_s: float
    """Lanes x length of the window."""
    cpu_s: float
    """On a processor: Python, content, and the kernel's part of calls, copies included."""
    queued_s: float
    """Ready to run, but waiting for a processor."""
    lock_s: float
    """Waiting for Python's lock, by samples."""
    request_s: float
    """Waiting for a request."""

    @property
    def harness_s(self) -> float:
        """Work, and waits for what the harness runs on.

        Samples may add up to more than the time that there was.
        """
        seconds = self.cpu_s + self.queued_s + self.lock_s
        return min(seconds, self.total_s - self.request_s)

    @property
    def storage_s(self) -> float:
        """Waiting for storage: what is left."""
        return max(0.0, self.total_s - self.harness_s - self.request_s)

    @classmethod
    def sum(cls, parts: Iterable[LaneTime | None]) -> LaneTime | None:
        """Return the sum over ranks; None if it is unknown for one."""
        known = tuple(parts)
        if not known or any(part is None for part in known):
            return None
        names = ("total_s", "cpu_s", "queued_s", "lock_s", "request_s")
        return cls(*(sum(getattr(part, name) for part in known) for name in names))


@dataclass(frozen=True)
class ThreadTimes:
    """Times of threads up to one moment, by thread id."""

    moment_ns: int
    cpu_ns: Mapping[int, int]
    queued_ns: Mapping[int, int]
    """Without the threads for which the kernel does not tell."""

    @classmethod
    def of(cls, thread_ids: Iterable[int], moment_ns: int) -> ThreadTimes:
        """Read the times of threads now, at `moment_ns`."""
        ids = tuple(thread_ids)
        queued = {thread_id: threads.queued_ns(thread_id) for thread_id in ids}
        return cls(
            moment_ns,
            {thread_id: threads.cpu_ns(thread_id) for thread_id in ids},
            {thread_id: time_ns for thread_id, time_ns in queued.items() if time_ns is not None},
        )

    def since(
        self, earlier: ThreadTimes, lanes: int, request_ns: int, lock_share: float | None
    ) -> LaneTime | None:
        """Return the lanes' time between two readings; None if the kernel does not tell.

        Threads that an earlier reading does not have started after it. `lock_share` is the share of
        the lanes' time in which they waited for Python's lock.
        """
        if lock_share is None or self.queued_ns.keys() != self.cpu_ns.keys():
            return None
        total_s = lanes * (self.moment_ns - earlier.moment_ns) / NS_PER_S
        return LaneTime(
            total_s=total_s,
            cpu_s=_increase(self.cpu_ns, earlier.cpu_ns) / NS_PER_S,
            queued_s=_increase(self.queued_ns, earlier.queued_ns) / NS_PER_S,
            lock_s=lock_share * total_s,
            request_s=min(request_ns / NS_PER_S, total_s),
        )


def _increase(later: Mapping[int, int], earlier: Mapping[int, int]) -> int:
    return sum(time_ns - earlier.get(thread_id, 0) for thread_id, time_ns in later.items())


class LockSampler:
    """Samples how many lanes wait for Python's lock. Context manager.

    `/proc/self/task/<id>/syscall` has the call in which a thread sleeps and its arguments. A thread
    that waits for the interpreter's lock sleeps at an address of the interpreter's own data; locks
    of Python programs lie elsewhere. A sample is taken while this thread has the lock, and so sees
    what another thread that gets it sees: the lanes that still wait.
    """

    def __init__(self) -> None:
        self._interpreter = _interpreter_data()
        self._files: dict[int, KernelFile] = {}
        self._next = 0
        self._samples = 0
        self._waiting = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def sample(self, thread_ids: Sequence[int]) -> None:
        """Look at some of the threads, in turn."""
        if self._interpreter is None:
            return
        for _ in range(min(len(thread_ids), _SAMPLED_AT_ONCE)):
            self._next = (self._next + 1) % len(thread_ids)
            text = self._read(thread_ids[self._next])
            if text:
                self._samples += 1
                self._waiting += _sleeps_at(text) in self._interpreter

    @property
    def share(self) -> float | None:
        """Share of the lanes' time in which they waited for the lock; None if unknown."""
        return self._waiting / self._samples if self._samples else None

    def _read(self, thread_id: int) -> bytes:
        """Return a thread's call; empty if the kernel does not tell or the thread has ended."""
        if thread_id not in self._files:
            with suppress(OSError):
                self._files[thread_id] = KernelFile(f"/proc/self/task/{thread_id}/syscall")
        file = self._files.get(thread_id)
        return b"" if file is None else file.read()


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
