"""Null stores, with plain calls and with the immediate queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from mlpstorage_bench.storage.buffers import AlignedBuffer
from mlpstorage_bench.storage.kernel_queue import Queue, QueueRefusedError
from mlpstorage_bench.storage.null import RING_BYTES, NullStore, RingStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking
from mlpstorage_bench.units import MIB
from tests.lanes import LoneLane

CHUNK = 64 * 1024

MakeStore = Callable[..., NullStore | RingStore]


def queue_of(store: NullStore | RingStore) -> Queue:
    try:
        return store.open_queue(4)
    except QueueRefusedError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("make_store", [NullStore, RingStore])
@pytest.mark.parametrize("is_queued", [True, False])
@pytest.mark.parametrize("chunk", [CHUNK, MIB])
def test_null_store_moves_everything_and_checks_nothing(
    make_store: MakeStore, chunk: int, observer_class: Any, *, is_queued: bool
) -> None:
    store = make_store(is_queued=is_queued)
    queue = queue_of(store)
    written, read, copied = observer_class(), observer_class(), observer_class()
    with LoneLane(
        Payload(5),
        Chunking(chunk),
        threading.Event(),
        chunks_in_flight=4,
        open_queue=lambda _: queue,
    ) as lane:
        entry = lane.write(store, "entry", 130 * MIB, written)
        lane.read(store, entry, read)
        lane.copy(store, store, entry, observer_class(), copied)
        assert lane.thread.transfers.moves == is_queued
    assert written.moved == read.moved == copied.moved == 130 * MIB
    assert read.checked == 0


@pytest.mark.parametrize("make_store", [NullStore, RingStore])
def test_lane_submits_each_chunk_to_the_queue_of_the_store(
    make_store: MakeStore, observer_class: Any
) -> None:
    store = make_store(is_queued=True)
    queue = queue_of(store)
    submitted: list[int] = []

    class RecordingQueue:
        moves_buffered, submit, wake = False, queue.submit, queue.wake
        register_memory = queue.register_memory
        reap, reset, close = queue.reap, queue.reset, queue.close

        def prepare(
            self, slot: int, is_write: bool, descriptor: int, address: int, size: int, offset: int
        ) -> None:
            submitted.append(size)
            queue.prepare(slot, is_write, descriptor, address, size, offset)

    chunking = Chunking(CHUNK)
    with LoneLane(
        Payload(5), chunking, threading.Event(), open_queue=lambda _: RecordingQueue()
    ) as lane:
        entry = lane.write(store, "entry", 3 * CHUNK + 4096, observer_class())
        lane.read(store, entry, observer_class())
    assert submitted == [CHUNK, CHUNK, CHUNK, 4096] * 2


def mark(buffer: AlignedBuffer, number: int) -> AlignedBuffer:
    buffer.sectors[:] = number
    return buffer


@pytest.mark.slow
def test_small_entries_use_the_whole_ring(observer_class: Any) -> None:
    store, buffer = RingStore(), AlignedBuffer(CHUNK)
    count = RING_BYTES // CHUNK
    for number in range(count):
        with store.writer(f"entry {number}", CHUNK, observer_class()) as writer:
            writer.put(mark(buffer, number).bytes, 0)
    for number in range(count):
        with store.reader("any", observer_class()) as reader:
            reader.get(buffer.bytes, 0)
        assert (buffer.sectors == number).all()


@pytest.mark.slow
def test_chunk_larger_than_the_ring_wraps_around(observer_class: Any) -> None:
    store, chunk, end = RingStore(), AlignedBuffer(RING_BYTES + MIB), AlignedBuffer(MIB)
    mark(chunk, 1).sectors[-MIB // 4096 :] = 2
    with store.writer("entry", chunk.size, observer_class()) as writer:
        writer.put(chunk.bytes, 0)  # its last MiB overwrites its first
        writer.put(mark(end, 3).bytes, chunk.size)
    with store.reader("entry", observer_class()) as reader:
        for _ in range(RING_BYTES // MIB - 2):
            reader.get(end.bytes, 0)
            assert (end.sectors == 1).all()
        reader.get(end.bytes, 0)
        assert (end.sectors == 2).all()
        reader.get(end.bytes, 0)
        assert (end.sectors == 3).all()
