"""Queue on real files whose completions and errors a test controls."""

from __future__ import annotations

import ctypes
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mlpstorage_bench.storage.kernel_queue import Event


class _Transfer(NamedTuple):
    is_write: bool
    descriptor: int
    address: int
    size: int
    offset: int


class _WriteBack(NamedTuple):
    descriptor: int
    size: int
    offset: int


@dataclass
class FakeQueue:
    """Moves transfers when it is polled, in random order."""

    depth: int
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    max_bytes: int | None = None
    """Limit on each transfer: the rest remains to be submitted."""
    fails_at: int | None = None
    """Number of the transfer (from 1) that fails."""
    errno: int = 0
    """Error of that transfer; 0: it moves 0 bytes without an error."""
    refuses: bool = False
    """Whether that transfer fails on submission, not on completion."""
    interrupts_at: tuple[str, int] | None = None
    """Place of a Ctrl-C (`before submit`, `after submit` or `after reap`), and passes before it."""
    is_eager: bool = False
    """Whether polling completes transfers; else only waiting does."""
    pending: dict[int, _Transfer | _WriteBack] = field(default_factory=dict)
    prepared: dict[int, _Transfer | _WriteBack] = field(default_factory=dict)
    refused: list[Event] = field(default_factory=list)
    submitted: int = 0
    max_pending: int = 0
    completed: list[int] = field(default_factory=list)
    """Offsets in order of completion."""
    resets: int = 0
    is_closed: bool = False
    moves_buffered: bool = True
    uncached: int = 0
    """Number of transfers that were to leave nothing in the page cache."""
    write_back_errno: int = 0
    """Error of every write-back."""
    written_back: list[tuple[int, int]] = field(default_factory=list)
    """Offset and size of write-backs in order of completion."""

    def register_memory(self, areas: Sequence[memoryview]) -> bool:
        del areas
        return False

    def prepare(
        self, slot: int, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        assert slot not in self.pending, "a slot is in use"
        self.prepared[slot] = _Transfer(is_write, descriptor, address, size, offset)

    def prepare_uncached(
        self, slot: int, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        self.uncached += 1
        self.prepare(slot, is_write, descriptor, address, size, offset)

    def prepare_write_back(self, slot: int, descriptor: int, size: int, offset: int) -> None:
        assert slot not in self.pending, "a slot is in use"
        self.prepared[slot] = _WriteBack(descriptor, size, offset)

    def submit(self) -> None:
        self._interrupt_if_due("before submit")
        prepared, self.prepared = self.prepared, {}
        for slot, transfer in prepared.items():
            self.submitted += isinstance(transfer, _Transfer)
            if self.refuses and self.submitted == self.fails_at:
                self.refused.append((slot, -self.errno))
                continue
            self.pending[slot] = transfer
        self.max_pending = max(self.max_pending, len(self.pending))
        assert self.max_pending <= self.depth
        self._interrupt_if_due("after submit")

    def reap(self, timeout_ns: int | None) -> list[Event]:
        waits = timeout_ns != 0
        refused, self.refused = self.refused, []
        if refused or not (waits or self.is_eager):
            return refused
        assert self.pending or not waits, "the wait would never end"
        slots = sorted(self.pending)
        chosen = self.rng.sample(slots, self.rng.randint(min(1, len(slots)), len(slots)))
        events = [(slot, self._move(self.pending.pop(slot))) for slot in chosen]
        self._interrupt_if_due("after reap")
        return events

    def wake(self) -> None:
        raise AssertionError("no other thread has a part in this")

    def _move(self, transfer: _Transfer | _WriteBack) -> int:
        if isinstance(transfer, _WriteBack):
            self.written_back.append((transfer.offset, transfer.size))
            return -self.write_back_errno
        if self.fails_at is not None and self.submitted >= self.fails_at and not self.refuses:
            self.fails_at = None
            return -self.errno
        is_write, descriptor, address, size, offset = transfer
        size = min(size, self.max_bytes or size)
        memory = (ctypes.c_char * size).from_address(address)
        move = os.pwritev if is_write else os.preadv
        self.completed.append(offset)
        return move(descriptor, [memory], offset)

    def _interrupt_if_due(self, place: str) -> None:
        if self.interrupts_at and self.interrupts_at[0] == place:
            left = self.interrupts_at[1] - 1
            self.interrupts_at = (place, left) if left >= 0 else None
            if left < 0:
                raise KeyboardInterrupt

    def reset(self) -> None:
        self.resets += 1
        self.prepared.clear()
        self.pending.clear()

    def close(self) -> None:
        self.is_closed = True
        assert not self.pending
