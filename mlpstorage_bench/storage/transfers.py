"""Transfers of all lanes of one thread over one kernel queue.

A chunk's span lasts from right before its submission to when the thread sees its completion. A
thread that waits sees it at once. A thread that was busy, with a lane's Python code or content,
sees it late: the span is then too long by at most the time since the thread last looked, or since
the submission returned, and this bound is reported with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mlpstorage_bench.storage.kernel_queue import Queue, QueueRefusedError, is_file_queue
from mlpstorage_bench.storage.mover import Mover
from mlpstorage_bench.storage.submission import Call, Submission
from mlpstorage_bench.storage.transfer import Transfer

OpenQueue = Callable[[int], Queue]
"""Function from number of slots to queue; raises QueueRefusedError."""
LARGE_BYTES = 256 << 10
"""Transfers of this size or larger are submitted at once: the next content takes longer to make
than the call."""
BATCH = 4
"""Smaller transfers are submitted together, at most so many, if their lanes are ready together; a
transfer that is the only one in flight is submitted at once."""


class Delayed(NamedTuple):
    """Samples of a thread that waits, for a processor or Python's lock, in a transfer's code.

    Such a wait makes three kinds of spans longer: those of chunks that the thread submits then; of
    chunks whose ends the look after it finds; and of those that ended after that look had asked the
    kernel, which the next look finds. All others in flight are still with the storage. What a look
    without a wait finds has the time since the look before in its `late_ns`, and is not counted
    again. Samples are taken at equal times, so that their mean is that of the waiting time.
    """

    samples: int
    chunks: int
    """Sum over samples of the number of chunks that the wait delays, at most."""


class TransferQueue:
    """At most `slots` transfers in flight, and some calls. Used by one thread, apart from `wake`.

    The kernel queue is opened for the first transfer.
    """

    def __init__(
        self,
        open_queue: OpenQueue | None,
        slots: int,
        memory: Sequence[memoryview] = (),
        *,
        calls: int = 0,
    ) -> None:
        """Open no queue yet; `memory` has the buffers, which the kernel maps once if it can.

        `calls` is the largest number of calls beside the transfers.
        """
        self._open_queue = open_queue
        self._memory = memory
        self._slots = slots + calls
        self._batch = BATCH if slots > 1 else 1
        self._free_calls = self._most_calls = calls
        """Number of calls that may be added."""
        self._queue: Queue | None = None
        self.refusal = ""
        """Reason why there is no queue; '' if there is one, or none was needed so far."""
        self._free = list(range(self._slots))
        self._in_slots: dict[int, Submission] = {}
        self._prepared: list[Submission] = []
        self.looked_ns = 0
        """When the thread last looked for ended transfers."""
        self._is_kernel_state_known = True
        """False during a call of the queue, as an interrupt may occur there."""
        self.waits_now = 0
        """Number of samples since the last look in which the thread waited in a transfer's code."""
        self.delayed = Delayed(0, 0)
        """Such samples so far, and the chunks that their waits delayed."""
        self._waits_before = self._delayed = self._just_submitted = 0
        """Samples between the last two looks, and number of chunks so far that a wait between them
        delays; number of those submitted after the last look."""
        self.moves = False
        """Whether the queue moved the files of the last operation; also after it was closed."""

    @property
    def queue(self) -> Queue | None:
        """The kernel queue; None if it was refused, or if plain calls are wanted."""
        if self._queue is None and self._open_queue is not None:
            try:
                self._queue = self._open_queue(self._slots)
                if self._memory:
                    self._queue.register_memory(self._memory)
            except QueueRefusedError as error:
                self.refusal, self._open_queue = str(error), None
        return self._queue

    def may_move(self, mover: Mover) -> bool:
        """Return whether a queue moves a mover's files concurrently, and give it to the mover."""
        queue = self.queue
        if is_file_queue(queue):
            mover.prepare = queue.prepare_uncached if mover.is_uncached else queue.prepare
            self.moves = True
        else:
            self.moves = mover.is_direct and queue is not None
            if queue is not None:
                mover.prepare = queue.prepare
        return self.moves

    @property
    def makes_calls(self) -> bool:
        """Whether there is a queue that opens and syncs files, and takes a call now."""
        return self._free_calls > 0 and is_file_queue(self.queue)

    @property
    def has_queue(self) -> bool:
        """Whether the kernel queue is open."""
        return self._queue is not None

    @property
    def in_flight(self) -> int:
        """Number of transfers that were added and have not ended."""
        return len(self._in_slots)

    def add(self, transfer: Transfer) -> None:
        """Put a transfer into a free slot; small ones are submitted with the next ones."""
        slot = self._free.pop()
        self._in_slots[slot] = transfer
        size = transfer.chunk[2]
        transfer.mover.prepare(
            slot,
            transfer.is_write,
            transfer.file.descriptor,
            transfer.buffer.address,
            size,
            transfer.at,
        )
        self._prepared.append(transfer)
        if size >= LARGE_BYTES or len(self._prepared) >= self._batch:
            self.submit()

    def add_call(self, call: Call) -> None:
        """Put a call into a free slot, which is submitted with the next transfers."""
        queue = self._queue
        assert is_file_queue(queue)
        self._free_calls -= 1
        slot = self._free.pop()
        self._in_slots[slot] = call
        call.prepare(queue, slot)
        self._prepared.append(call)
        if len(self._prepared) >= self._batch:
            self.submit()

    def submit(self) -> bool:
        """Submit what was added; return whether the ends of transfers were collected.

        Some filesystems complete a transfer within the call.
        """
        prepared = self._prepared
        if not prepared:
            return False
        assert self._queue is not None
        now_ns = time.perf_counter_ns()
        for transfer in prepared:
            if not transfer.started_ns:  # else it is the rest of a short transfer
                transfer.started_ns = now_ns
        self._is_kernel_state_known = False
        self._queue.submit()
        self._is_kernel_state_known = True
        now_ns = time.perf_counter_ns()
        for transfer in prepared:
            transfer.submitted_ns = now_ns
        self._just_submitted += len(prepared)
        prepared.clear()
        return self._reap(0, just_submitted_ns=now_ns)

    def look(self) -> int:
        """Collect the ends of transfers, without a wait; return the time (perf_counter)."""
        if not self._in_slots:
            return time.perf_counter_ns()
        self._reap(0)
        return self.looked_ns

    def wait(self, timeout_ns: int | None) -> None:
        """Submit what was added, and wait until a transfer ends, a wake-up or the timeout."""
        if not (self.submit() or self._reap(0)):
            self._reap(timeout_ns)

    def wake(self) -> None:
        """End a wait; any thread may call this."""
        queue = self._queue
        if queue is not None:
            queue.wake()

    def recover(self) -> bool:
        """After an interrupt during a call of the queue, wait for the kernel and forget transfers.

        Returns whether there was one.
        """
        if self._is_kernel_state_known:
            return False
        self.reset()
        return True

    def reset(self) -> None:
        """Wait until no transfer is in flight, and forget all of them."""
        if self._queue is not None:
            self._queue.reset()
        self._prepared.clear()
        self._in_slots.clear()
        self._free = list(range(self._slots))
        self._free_calls = self._most_calls
        self._is_kernel_state_known = True

    def close(self) -> None:
        """Close the queue, with no transfer in it."""
        if self._queue is not None:
            if self._in_slots or not self._is_kernel_state_known:
                self.reset()
            self._queue.close()
            self._queue = None

    def _reap(self, timeout_ns: int | None, just_submitted_ns: int = -1) -> bool:
        """Collect ended transfers; return whether there were any."""
        if self._queue is None or not (self._in_slots or timeout_ns != 0):
            return False
        self._is_kernel_state_known = False
        try:
            events = self._queue.reap(timeout_ns)
        except OSError as error:
            self._abandon(error)
            return True
        now_ns = time.perf_counter_ns()
        before_ns, self.looked_ns = self.looked_ns, now_ns
        self._note_look(len(events), has_waited=timeout_ns != 0)
        known_ns = before_ns if timeout_ns == 0 else now_ns  # who waited was told at once
        for slot, result in events:
            transfer = self._in_slots.pop(slot)
            is_short = result <= 0 or transfer.done + result < transfer.to_do
            if is_short and self._goes_on(slot, transfer, result):
                continue
            transfer.ended_ns = now_ns
            if transfer.submitted_ns != just_submitted_ns:
                transfer.late_ns = now_ns - max(known_ns, transfer.submitted_ns)
            self._free.append(slot)
            transfer.owner.ended(transfer)
        self._is_kernel_state_known = True
        return bool(events)

    def _note_look(self, ended: int, *, has_waited: bool) -> None:
        """Count the chunks that sampled waits have delayed, once a look."""
        if self._waits_before:
            samples, chunks = self.delayed
            delayed = min(self._delayed + ended, self._slots)
            self.delayed = Delayed(
                samples + self._waits_before, chunks + self._waits_before * delayed
            )
        self._waits_before, self.waits_now = self.waits_now, 0
        self._delayed, self._just_submitted = ended * has_waited + self._just_submitted, 0

    def _abandon(self, error: OSError) -> None:
        """End all transfers with an error of the queue itself."""
        transfers = list(self._in_slots.values())
        self.reset()
        for transfer in transfers:
            transfer.fail(error)
            transfer.owner.ended(transfer)

    def _goes_on(self, slot: int, transfer: Submission, result: int) -> bool:
        """Prepare what is left of a transfer, or note how it or a call ended.

        Returns whether it goes on.
        """
        self._free_calls += isinstance(transfer, Call)
        if result < 0:
            transfer.fail(OSError(-result, os.strerror(-result)))
            return False
        if isinstance(transfer, Call):
            transfer.result = result
            return False
        assert isinstance(transfer, Transfer)
        if transfer.is_moved:  # and now written back
            return False
        if result == 0:
            transfer.error = transfer.made_no_progress()
            return False
        transfer.done += result
        self._in_slots[slot] = transfer
        if transfer.is_moved:
            self._prepare_write_back(slot, transfer)
        else:
            self._prepare_rest(slot, transfer)
        self._prepared.append(transfer)
        return True

    def _prepare_rest(self, slot: int, transfer: Transfer) -> None:
        done = transfer.done
        transfer.mover.prepare(
            slot,
            transfer.is_write,
            transfer.file.descriptor,
            transfer.buffer.address + done,
            transfer.chunk.size - done,
            transfer.at + done,
        )

    def _prepare_write_back(self, slot: int, transfer: Transfer) -> None:
        queue = self._queue
        assert is_file_queue(queue)
        queue.prepare_write_back(slot, transfer.file.descriptor, transfer.chunk.size, transfer.at)

    TRANSFERS = (
        add,
        add_call,
        submit,
        wait,
        look,
        _reap,
        _note_look,
        _goes_on,
        _prepare_rest,
        _prepare_write_back,
    )
    """Functions between the two times of a chunk's span."""
