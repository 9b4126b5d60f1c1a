"""The order in which a study's buffers are used."""

from __future__ import annotations

from benchmarks.harness.buffer_order import OrderedBuffers
from mlpstorage_bench.units import MIB


def test_buffer_used_last_is_next_only_while_buffers_are_hot() -> None:
    buffers = OrderedBuffers(MIB, in_use=1)
    with buffers.used_last_first():
        first = buffers.take()
        buffers.put(first)
        assert buffers.take() is first
        buffers.put(first)
    assert buffers.take() is first
    buffers.put(first)
    assert buffers.take() is not first
