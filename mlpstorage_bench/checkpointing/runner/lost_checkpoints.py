"""Checkpoints that a session needs and that are not there: which, and what is said of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mlpstorage_bench.checkpointing.config.parameters import Kind, Phase


def slot_of(slots: Sequence[int], trial: int) -> int:
    """Return the checkpoint that a trial, from 1, writes or reads; trials begin anew at the end."""
    return slots[(trial - 1) % len(slots)]


def needed(
    slots: Sequence[int], kind: Kind, phase: Phase, finished: int, planned: int
) -> frozenset[int]:
    """Return the checkpoints that have to be there before the trials after `finished` ones.

    Reads need those that they read. A write phase needs what its finished trials have written, for
    the read phase after it, unless later ones replace it.
    """
    to_come = frozenset(slot_of(slots, trial) for trial in range(finished + 1, planned + 1))
    if kind == "read":
        return to_come
    if phase != "write":
        return frozenset()
    return frozenset(slot_of(slots, trial) for trial in range(1, finished + 1)) - to_come


def before_reads(lost: Collection[int], *, is_resumed: bool) -> str:
    """Return what is said before reads of checkpoints that are not there."""
    reason = (
        "an interrupted run keeps its checkpoints with phase=write alone"
        if is_resumed
        else "this session has not written them"
    )
    return (
        f"WARNING: checkpoints that are not there: {_numbers(lost)} ({reason}). Each is written "
        "once more now, unmeasured, before the first read"
    )


def before_writes(lost: Collection[int], problem: str) -> str:
    """Return what is said before a write phase goes on without checkpoints that it has written."""
    return (
        f"WARNING: lost checkpoints of this run: {_numbers(lost)} ({problem}). Each is written "
        "once more now, unmeasured, for the read phase"
    )


def rewritten(lost: Collection[int], problem: str) -> str:
    """Return the note on checkpoints that a write phase has written once more."""
    return (
        f"checkpoints of unmeasured writes: {_numbers(lost)}. What the run had measured was lost "
        f"before it went on ({problem})"
    )


def _numbers(checkpoints: Collection[int]) -> str:
    return ", ".join(map(str, sorted(checkpoints)))
