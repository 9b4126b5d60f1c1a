"""A queue whose transfers end when and how a test says, on real files."""

from __future__ import annotations

import ctypes
import os
import random
from dataclasses import dataclass, field
from typing import NamedTuple

from mlpstorage_bench.storage.aio import Event


class _Asked(NamedTuple):
    is_write: bool
    descriptor: int
    address: int
    size: int
    offset: int


@dataclass
class FakeQueue:
    """Moves transfers when it is asked what has ended, in an order of its own."""

    depth: int
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    most_bytes: int | None = None
    """Of one transfer: the rest is left undone."""
    fails_at: int | None = None
    """Number of the transfer (from 1) that fails."""
    errno: int = 0
    """As what; 0: it moves nothing, and there is no error."""
    refuses: bool = False
    """It is refused when it is submitted, not when it has ended."""
    interrupts_at: tuple[str, int] | None = None
    """Where Ctrl-C comes: `before submit`, `after submit` or `after reap`, and how often before."""
    is_eager: bool = False
    """What was submitted has ended when someone looks; else only when someone waits."""
    pending: dict[int, _Asked] = field(default_factory=dict)
    submitted: int = 0
    most_pending: int = 0
    ended: list[int] = field(default_factory=list)
    """Offsets, in the order of their ends."""
    forgotten: int = 0
    is_closed: bool = False

    def submit(
        self, slot: int, *, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        self._may_interrupt("before submit")
        assert slot not in self.pending, "a slot is in use"
        self.submitted += 1
        if self.refuses and self.submitted == self.fails_at:
            raise OSError(self.errno, os.strerror(self.errno))
        self.pending[slot] = _Asked(is_write, descriptor, address, size, offset)
        self.most_pending = max(self.most_pending, len(self.pending))
        assert self.most_pending <= self.depth
        self._may_interrupt("after submit")

    def reap(self, *, waits: bool) -> list[Event]:
        if not (waits or self.is_eager):
            return []
        assert self.pending or not waits, "it would wait for ever"
        slots = sorted(self.pending)
        chosen = self.dice.sample(slots, self.dice.randint(min(1, len(slots)), len(slots)))
        events = [(slot, self._move(self.pending.pop(slot))) for slot in chosen]
        self._may_interrupt("after reap")
        return events

    def _move(self, asked: _Asked) -> int:
        if self.fails_at is not None and self.submitted >= self.fails_at and not self.refuses:
            self.fails_at = None
            return -self.errno
        is_write, descriptor, address, size, offset = asked
        size = min(size, self.most_bytes or size)
        memory = (ctypes.c_char * size).from_address(address)
        move = os.pwritev if is_write else os.preadv
        self.ended.append(offset)
        return move(descriptor, [memory], offset)

    def _may_interrupt(self, place: str) -> None:
        if self.interrupts_at and self.interrupts_at[0] == place:
            left = self.interrupts_at[1] - 1
            self.interrupts_at = (place, left) if left >= 0 else None
            if left < 0:
                raise KeyboardInterrupt

    def forget(self) -> None:
        self.forgotten += 1
        self.pending.clear()

    def close(self) -> None:
        self.is_closed = True
        assert not self.pending
