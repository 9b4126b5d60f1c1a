"""Submissions of lanes to a queue: transfers of chunks, and calls on files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from mlpstorage_bench.storage.kernel_queue import FileQueue

_NEVER = 1 << 62


class SubmissionOwner(Protocol):
    """Receives the ends of its submissions."""

    def ended(self, submission: Any) -> None:
        """Note that a submission has ended: completely, or with its `error`."""
        ...


class Submission:
    """A transfer or a call in a slot of the queue."""

    __slots__ = ("done", "ended_ns", "late_ns", "owner", "started_ns", "submitted_ns", "to_do")

    owner: SubmissionOwner
    done: int
    """Bytes moved so far."""
    to_do: int
    """Value of `done` with which it has ended."""
    started_ns: int
    """Right before its first submission; 0 until then."""
    submitted_ns: int
    """Right after its last one."""
    ended_ns: int
    late_ns: int
    """It may have ended up to this long before `ended_ns`."""

    def fail(self, error: OSError) -> None:
        """Note the error with which it has ended."""
        raise NotImplementedError


class Call(Submission):
    """A call on a file that the queue makes for a lane."""

    __slots__ = ("error", "prepare", "result")

    def __init__(self, owner: SubmissionOwner, prepare: Callable[[FileQueue, int], None]) -> None:
        """`prepare` puts the call into a slot of the queue."""
        self.owner = owner
        self.prepare = prepare
        self.done = 0
        self.to_do = _NEVER  # so that the queue looks at its result
        self.started_ns = self.submitted_ns = self.ended_ns = self.late_ns = 0
        self.result = 0
        """The number that the call returned, unless it failed."""
        self.error: OSError | None = None

    def fail(self, error: OSError) -> None:
        """Note the error with which it has ended."""
        self.error = error
