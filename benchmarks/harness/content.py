"""The time that making content takes, alone, and the bound that it sets to writes."""

from __future__ import annotations

import itertools
import time

from benchmarks.harness.flat_load import Load, Sample
from mlpstorage_bench.storage.buffers import BufferPool
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking
from mlpstorage_bench.units import GIB


def make_content(load: Load, buffers: BufferPool, seconds: float) -> Sample:
    """Make the content of new entries on one thread, and store it nowhere.

    Buffers are taken in the pool's order, as by lanes. The rate and the CPU time are those of the
    thread's CPU time: what another process takes of the core does not count.
    """
    payload, chunking = Payload(1), Chunking(load.block_bytes)
    ends_ns = time.perf_counter_ns() + round(seconds * 1e9)
    began_ns, made_bytes = time.thread_time_ns(), 0
    for generation in itertools.count():
        content = payload.content(payload.identity("entry", generation))
        for chunk in chunking.chunks(load.entry_bytes):
            buffer = buffers.take()
            content.fill(buffer, chunk.size, chunk.offset)
            buffers.put(buffer)
            made_bytes += chunk.size
        if time.perf_counter_ns() >= ends_ns:
            break
    cpu_s_per_gib = (time.thread_time_ns() - began_ns) / 1e9 / (made_bytes / GIB)
    return Sample(1 / cpu_s_per_gib, 0.0, cpu_s_per_gib, 0.0)


def bounded_gib_s(storage_gib_s: float, content_s_per_gib: float) -> float:
    """Return the rate of a thread that makes content and moves it, one after the other."""
    return 1 / (1 / storage_gib_s + content_s_per_gib)
