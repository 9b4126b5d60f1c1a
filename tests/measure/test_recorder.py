from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.measure.operation_statistics import (
    OperationKey,
    OperationStatistics,
    size_class,
)
from mlpstorage_bench.measure.recorder import EntryObserver, Recorder
from mlpstorage_bench.measure.window import Interval, Window
from mlpstorage_bench.units import MIB, NS_PER_S


def window(opened_ns: int, closes_ns: int) -> Window:
    made = Window()
    made.opened_ns, made.closes_ns = opened_ns, closes_ns
    return made


def only(recorder: Recorder) -> OperationStatistics:
    (statistics,) = recorder.operations.values()
    return statistics


def test_chunk_counts_if_it_ended_inside_the_window() -> None:
    recorder = Recorder(window(100, 200))
    observer = recorder.observe("storage", "read", MIB)
    for started, ended in ((0, 99), (0, 100), (150, 160), (190, 200), (190, 201)):
        observer.chunk(4096, started, ended)
    statistics = only(recorder)
    assert (statistics.moved_bytes, statistics.chunks, statistics.chunk.count) == (8192, 2, 2)


def test_cached_chunks_count_when_a_sync_has_brought_them_to_storage() -> None:
    inside = window(100, 200)
    inside.device_counted = Interval(100, 200)
    recorder = Recorder(inside)
    observer = recorder.observe("storage", "write", MIB)
    observer.cached(4096, 110, 120)
    observer.cached(4096, 120, 130)
    statistics = only(recorder)
    assert (statistics.moved_bytes, statistics.chunks) == (0, 2)
    observer.durable(130, 199, 8192)
    observer.cached(4096, 199, 199)
    observer.durable(199, 200, 4096)  # ends after the window
    assert (statistics.moved_bytes, statistics.completed_bytes) == (8192, 8192)
    assert statistics.total_bytes == 3 * 4096
    assert statistics.durability.count == 1


def test_chunks_are_counted_in_the_intervals_of_kernel_counters() -> None:
    inside = window(100, 200)
    inside.process_counted = Interval(90, 210)
    inside.device_counted = Interval(94, 216)
    recorder = Recorder(inside)
    observer = recorder.observe("storage", "read", MIB)
    for started, ended in ((80, 95), (95, 120), (150, 160), (205, 215), (211, 215)):
        observer.chunk(4096, started, ended)
    statistics = only(recorder)
    assert statistics.submitted_bytes == 3 * 4096
    assert statistics.completed_bytes == 5 * 4096
    assert statistics.moved_bytes == 2 * 4096


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    now = {"ns": 0}
    monkeypatch.setattr("time.perf_counter_ns", lambda: now["ns"])
    return now


def test_entry_latency_counts_if_it_ended_inside_with_all_its_chunks(
    clock: dict[str, int],
) -> None:
    recorder = Recorder(window(100, 200))
    clock["ns"] = 40
    observer = recorder.observe("storage", "write", MIB, requested_ns=15)
    observer.chunk(4096, 50, 90)
    observer.chunk(4096, 95, 120)
    observer.durable(120, 130)
    clock["ns"] = 140
    observer.done()
    statistics = only(recorder)
    assert statistics.moved_bytes == 4096
    assert statistics.device.sum_ns == 40 + 25 + 10
    assert statistics.host.sum_ns == 100
    assert statistics.wait.sum_ns == 25
    assert statistics.in_flight_at_open == 1
    clock["ns"] = 150
    late = recorder.observe("storage", "write", MIB)
    clock["ns"] = 200
    late.done()
    assert (statistics.host.count, statistics.in_flight_at_open, statistics.in_flight_at_close) == (
        1,
        1,
        1,
    )


def test_operations_in_progress_at_each_edge_are_counted(clock: dict[str, int]) -> None:
    recorder = Recorder(window(100, 200))
    clock["ns"] = 50
    whole = recorder.observe("storage", "read", MIB)
    over_before = recorder.observe("storage", "read", MIB)
    clock["ns"] = 99
    over_before.done()
    clock["ns"] = 150
    late = recorder.observe("storage", "read", MIB)
    clock["ns"] = 200
    after = [recorder.observe("storage", "read", MIB) for _ in range(3)]
    clock["ns"] = 220
    whole.cut_off()
    late.done()
    for operation in after:
        operation.cut_off()
    assert (only(recorder).in_flight_at_open, only(recorder).in_flight_at_close) == (1, 2)


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 80)), max_size=30).map(
        lambda pairs: [(start, start + length) for start, length in pairs]
    )
)
def test_device_time_is_the_union_of_chunk_times(calls: list[tuple[int, int]]) -> None:
    statistics = OperationStatistics()
    observer = EntryObserver(statistics, window(0, 2**62), 0)
    for start, end in calls:
        observer.chunk(4096, start, end)
    observer.done()
    busy = {moment for start, end in calls for moment in range(start, end)}
    assert statistics.device.sum_ns == len(busy)


@pytest.mark.slow
def test_device_time_memory_does_not_grow_with_chunks() -> None:
    statistics = OperationStatistics()
    observer = EntryObserver(statistics, window(0, 2**62), 0)
    observer.chunk(4096, 0, 5)
    tracemalloc.start()
    for number in range(1, 50_000):
        observer.chunk(4096, 10 * number, 10 * number + 5)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    observer.done()
    assert statistics.device.sum_ns == 50_000 * 5
    assert taken < 200_000


@pytest.mark.parametrize("kind", ["cached", "durable"])
def test_late_ends_of_cached_chunks_and_syncs_are_counted_with_their_bounds(kind: str) -> None:
    recorder = Recorder(window(100, 200))
    observer = recorder.observe("storage", "write", MIB)
    for ended, late in ((150, 0), (160, 7), (170, 5), (210, 9)):
        if kind == "cached":
            observer.cached(4096, 120, ended, late)
        else:
            observer.durable(120, ended, 4096, late)
    statistics = only(recorder)
    assert (statistics.late_completions, statistics.latency_overestimate_ns) == (2, 12)


def test_late_chunks_are_counted_with_their_bounds() -> None:
    recorder = Recorder(window(100, 200))
    observer = recorder.observe("storage", "read", MIB)
    for ended, late in ((150, 0), (160, 7), (170, 5), (210, 9)):
        observer.chunk(4096, 120, ended, late)
    statistics = only(recorder)
    assert (statistics.late_completions, statistics.latency_overestimate_ns) == (2, 12)
    assert statistics.chunk.max_ns == 50


@pytest.mark.parametrize(
    ("size", "name"),
    [
        (4096, "under 1 MiB"),
        (MIB, "1 to 16 MiB"),
        (16 * MIB - 1, "1 to 16 MiB"),
        (16 * MIB, "16 to 256 MiB"),
        (1023 * MIB, "256 MiB to 1 GiB"),
        (3 << 30, "1 GiB and more"),
    ],
)
def test_entry_is_counted_in_its_size_class(size: int, name: str) -> None:
    assert size_class(size) == name
    recorder = Recorder(window(0, 1000))
    recorder.observe("cpu", "read", size)
    assert list(recorder.operations) == [OperationKey("cpu", "read", name)]


def test_window_contains_nothing_before_opening_and_after_closing() -> None:
    made = Window()
    assert not made.contains(2**62)
    made.open(1000)
    opened, closes = made.opened_ns, made.closes_ns
    assert closes - opened == 1000 * NS_PER_S
    assert made.contains(opened)
    assert made.contains(closes - 1)
    assert not made.contains(closes)
    made.close()
    assert made.is_over
    assert not made.contains(made.closes_ns)
    assert 0 <= made.length_s < 1000


def test_totals_add_workers_by_tier_kind_and_size() -> None:
    inside = window(0, 1000)
    workers = [Recorder(inside) for _ in range(3)]
    for number, worker in enumerate(workers):
        worker.observe("storage", "read", MIB).chunk(100 * (number + 1), 1, 2)
        worker.observe("cpu", "read", MIB).verified(3, 4)
    totals = Recorder.total(workers)
    assert totals[OperationKey("storage", "read", "1 to 16 MiB")].moved_bytes == 600
    assert totals[OperationKey("cpu", "read", "1 to 16 MiB")].verified_chunks == 3
    assert len(totals) == 2


def test_block_is_as_many_chunks_as_have_its_size_in_the_order_of_their_ends() -> None:
    recorder = Recorder(window(0, 1000), block_bytes=20)
    observer = recorder.observe("storage", "read", 55)
    for started, ended in ((100, 200), (150, 260), (200, 310), (300, 400)):
        observer.chunk(10, started, ended)
    observer.chunk(15, 400, 450)  # less than a block is left
    (statistics,) = recorder.operations.values()
    assert (statistics.block.count, statistics.block.min_ns, statistics.block.max_ns) == (
        2,
        160,
        200,
    )


def test_block_that_ends_outside_of_the_window_or_has_no_size_is_not_counted() -> None:
    late = Recorder(window(0, 150), block_bytes=10)
    late.observe("storage", "read", 10).chunk(10, 100, 200)
    unsized = Recorder(window(0, 1000))
    unsized.observe("storage", "read", 10).chunk(10, 100, 200)
    for recorder in (late, unsized):
        (statistics,) = recorder.operations.values()
        assert statistics.block.count == 0
