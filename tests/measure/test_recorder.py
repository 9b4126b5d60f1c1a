from __future__ import annotations

from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import NS_PER_S, Window


def window(opened_ns: int, closes_ns: int) -> Window:
    made = Window()
    made.opened_ns, made.closes_ns = opened_ns, closes_ns
    return made


def test_a_chunk_counts_when_it_ended_inside_the_window() -> None:
    recorder = Recorder(window(100, 200))
    observer = recorder.observe("storage", "read")
    for started, ended in ((0, 99), (0, 100), (150, 160), (190, 200), (190, 201)):
        observer.chunk(4096, started, ended)
    statistics = recorder.operations["storage", "read"]
    assert (statistics.moved_bytes, statistics.chunks, statistics.chunk.count) == (8192, 2, 2)


def test_an_entrys_latency_counts_when_it_ended_inside_and_covers_its_chunks_outside() -> None:
    recorder = Recorder(window(100, 200))
    observer = recorder.observe("storage", "write")
    observer.chunk(4096, 50, 90)
    observer.chunk(4096, 95, 120)
    observer.durable(120, 130)
    observer.done(40, 140)
    statistics = recorder.operations["storage", "write"]
    assert statistics.moved_bytes == 4096
    assert statistics.device.sum_ns == 40 + 25 + 10
    assert statistics.host.sum_ns == 100
    late = recorder.observe("storage", "write")
    late.done(150, 200)
    assert statistics.host.count == 1


def test_before_it_opens_and_after_it_closes_nothing_is_inside() -> None:
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


def test_totals_add_up_workers_by_tier_and_kind() -> None:
    inside = window(0, 1000)
    workers = [Recorder(inside) for _ in range(3)]
    for number, worker in enumerate(workers):
        worker.observe("storage", "read").chunk(100 * (number + 1), 1, 2)
        worker.observe("cpu", "read").cut_off()
    totals = Recorder.total(workers)
    assert totals["storage", "read"].moved_bytes == 600
    assert totals["cpu", "read"].cut_off == 3
    assert ("storage", "write") not in totals
