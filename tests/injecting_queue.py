"""A queue of the kernel with injected errors, short transfers, and late ends."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from mlpstorage_bench.storage.kernel_queue import Event, FileQueue, Queue

SECTOR = 4096
QUEUE_ERROR = "the queue itself fails"
NOTHING = 0
"""Injected result of a transfer that moves nothing and has no error."""


@dataclass
class Rates:
    """Probabilities of what is injected."""

    error: float = 0.0
    """That a transfer or call fails, with one of `results`."""
    short: float = 0.0
    """That a transfer moves a part alone."""
    withheld: float = 0.0
    """That an ended slot is seen at a later look."""
    queue_error: float = 0.0
    """That a look for ended slots fails for all of them."""
    results: Sequence[int] = ()
    """Negative error numbers, or `NOTHING` (of transfers alone)."""


@dataclass
class _Moving:
    """A chunk in its slot."""

    whole: int
    left: int


@dataclass
class InjectingQueue:
    """Hands transfers and calls on to a real queue, but for what it injects."""

    inner: Queue
    rng: random.Random
    rates: Rates
    is_aligned: bool
    """Whether parts of transfers are whole sectors, as direct I/O needs."""
    owner_of: Callable[[int | None], Any]
    """Function from a buffer's address, or None for a call, to whom it belongs."""
    on_look: Callable[[], object] = int
    """Called at each look for ended slots."""
    injected: list[tuple[Any, int]] = field(default_factory=list)
    """Owners and results of injected ends."""
    queue_errors: int = 0
    moved: dict[Any, int] = field(default_factory=dict)
    """Bytes of whole chunks whose ends were handed out, by owner."""
    in_kernel: set[int] = field(default_factory=set)
    parts: int = 0
    """Number of transfers that were shortened."""
    _owners: dict[int, Any] = field(default_factory=dict)
    _moving: dict[int, _Moving] = field(default_factory=dict)
    _creating: dict[int, bytes] = field(default_factory=dict)
    """Paths of the files that are opened, and with that created, by slot."""
    _failing: list[Event] = field(default_factory=list)
    """Injected ends of slots that are prepared."""
    _ended: list[Event] = field(default_factory=list)
    """Ends to hand out: injected ones, and withheld ones."""

    def __post_init__(self) -> None:
        self.moves_buffered = self.inner.moves_buffered
        self.register_memory = self.inner.register_memory
        self.wake = self.inner.wake
        self._files = cast("FileQueue", self.inner)

    def prepare(
        self, slot: int, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        self._transfer(self.inner.prepare, slot, is_write, descriptor, address, size, offset)

    def prepare_uncached(
        self, slot: int, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        prepare = self._files.prepare_uncached
        self._transfer(prepare, slot, is_write, descriptor, address, size, offset)

    def _transfer(
        self,
        prepare: Callable[..., None],
        slot: int,
        is_write: bool,
        descriptor: int,
        address: int,
        size: int,
        offset: int,
    ) -> None:
        owner = self.owner_of(address)
        moving = self._moving.setdefault(slot, _Moving(size, size))
        assert moving.left == size, "a slot is in use, or not all of its rest is moved"
        if self._fails(slot, owner, self.rates.results):
            return
        if self.rng.random() < self.rates.short:
            unit = SECTOR if self.is_aligned else 1
            part = self.rng.randrange(unit, size + 1, unit)
            self.parts += part < size
            size = part
        self._hand_on(slot, owner)
        prepare(slot, is_write, descriptor, address, size, offset)

    def prepare_write_back(self, slot: int, descriptor: int, size: int, offset: int) -> None:
        owner = self._owners[slot]
        self.moved[owner] -= size  # it counts when it is written back
        self._moving[slot] = _Moving(size, 0)
        if not self._fails(slot, owner, self._errors()):
            self._hand_on(slot, owner)
            self._files.prepare_write_back(slot, descriptor, size, offset)

    def prepare_sync(self, slot: int, descriptor: int, data_only: bool) -> None:
        self._call(slot, lambda: self._files.prepare_sync(slot, descriptor, data_only))

    def prepare_open(self, slot: int, path: bytes, flags: int, mode: int) -> None:
        self._creating[slot] = path if flags & os.O_CREAT else b""
        self._call(slot, lambda: self._files.prepare_open(slot, path, flags, mode))

    def _call(self, slot: int, prepare: Callable[[], None]) -> None:
        owner = self.owner_of(None)
        if not self._fails(slot, owner, self._errors()):
            self._hand_on(slot, owner)
            prepare()

    def _errors(self) -> list[int]:
        return [result for result in self.rates.results if result != NOTHING]

    def _hand_on(self, slot: int, owner: Any) -> None:
        assert slot not in self.in_kernel, "a slot is in use"
        self.in_kernel.add(slot)
        self._owners[slot] = owner

    def _fails(self, slot: int, owner: Any, results: Sequence[int]) -> bool:
        if self.rng.random() >= self.rates.error:
            return False
        result = self.rng.choice(results)
        self.injected.append((owner, result))
        self._failing.append((slot, result))
        return True

    def submit(self) -> None:
        self.inner.submit()
        self._ended += self._failing
        self._failing.clear()

    def reap(self, timeout_ns: int | None) -> list[Event]:
        self.on_look()
        if self.in_kernel and self.rng.random() < self.rates.queue_error:
            self.queue_errors += 1
            raise OSError(errno.EBADF, QUEUE_ERROR)
        events, self._ended = self._ended, []
        came = self.inner.reap(0 if events else timeout_ns)
        self.in_kernel -= {slot for slot, _ in came}
        for event in came:
            kept = self._ended if self.rng.random() < self.rates.withheld else events
            kept.append(event)
        if not events and timeout_ns != 0:  # who waits must get what there is
            events, self._ended = self._ended, []
        for slot, result in events:
            self._account(slot, result)
        return events

    def _account(self, slot: int, result: int) -> None:
        self._creating.pop(slot, None)
        moving = self._moving.pop(slot, None)
        if moving is None or result < 0 or (result == NOTHING and moving.left):
            return
        moving.left -= result
        if moving.left:
            self._moving[slot] = moving
        else:
            owner = self._owners[slot]
            self.moved[owner] = self.moved.get(owner, 0) + moving.whole

    def reset(self) -> None:
        for slot, result in self._ended:
            if slot in self._creating and result >= 0:  # as the queue does with its own
                os.close(result)
                if self._creating[slot]:
                    Path(os.fsdecode(self._creating[slot])).unlink()
        self.inner.reset()
        for things in (self.in_kernel, self._owners, self._moving, self._creating):
            things.clear()
        self._failing.clear()
        self._ended.clear()

    def close(self) -> None:
        assert (self.in_kernel, self._failing, self._ended) == (set(), [], [])
        self.inner.close()
