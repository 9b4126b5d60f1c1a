"""Traces of operations on entries, as `trace_out` and the reference write them.

CSV: Timestamp (seconds), Operation (Read or Write), Object_Size_Bytes, Tier, Key, Phase. Rows of
phase Evict moved an entry between tiers of the recorded run, and are no part of its workload.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

from mlpstorage_bench.kvcache.workload.blocks import Access, Block, Read, Write
from mlpstorage_bench.kvcache.workload.requests import Request
from mlpstorage_bench.kvcache.workload.traces.fields import (
    MOST_BYTES,
    FieldError,
    Row,
    count,
    seconds,
    text,
)
from mlpstorage_bench.kvcache.workload.traces.replay import Context, TimedFormat
from mlpstorage_bench.kvcache.workload.users import QOS_CLASSES

COLUMNS = ("Timestamp", "Operation", "Object_Size_Bytes", "Tier", "Key", "Phase")
MOVED_PHASE = "Evict"
"""Phase of operations that moved an entry between tiers."""
OperationKind = Literal["Read", "Write"]


class Operation(NamedTuple):
    """A row."""

    time_s: float
    kind: OperationKind
    size: int
    tier: str
    key: str
    phase: str


def operation(row: Row) -> Operation:
    """Return the operation in a row; FieldError if there is none."""
    kind, key = text(row, "Operation"), text(row, "Key")
    if kind not in ("Read", "Write"):
        raise FieldError("Operation", f"It is {kind[:50]!r}; accepted: Read, Write")
    if not key:
        raise FieldError("Key", "It is empty")
    return Operation(
        seconds(row, "Timestamp"),
        cast("OperationKind", kind),
        count(row, "Object_Size_Bytes", MOST_BYTES, least=1),
        text(row, "Tier"),
        key,
        text(row, "Phase"),
    )


def _request(_: int, row: Row, context: Context) -> tuple[float, Request]:
    """Return a request with one operation; operations on one key belong to one user."""
    recorded = operation(row)
    is_answer = recorded.phase == "Decode"
    block = Block(recorded.key, 0, "answer" if is_answer else "conversation", recorded.size)
    access: Access = Write(block) if recorded.kind == "Write" else Read(block)
    user = context.users.setdefault(recorded.key, len(context.users))
    in_order = QOS_CLASSES[-1].priority
    request = context.request(user, 0, 0)
    return recorded.time_s, request._replace(priority=in_order, accesses=(access,))


OPERATIONS = TimedFormat(
    "operations", "Timestamp", _request, lambda row: row.get("Phase") != MOVED_PHASE
)
