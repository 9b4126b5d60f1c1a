from __future__ import annotations

import threading

import pytest

from mlpstorage_bench.measure.clock import VirtualClock
from mlpstorage_bench.measure.clock_offset import ClockOffset, CommonTime
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.time_series import PhaseSeries
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.trial.series_recorder import SeriesRecorder
from mlpstorage_bench.units import MIB, NS_PER_MS, NS_PER_S


class Lane:
    """Reads an entry of one chunk in each 100 ms of virtual time."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.window = Window(self.clock)
        self.recorder = Recorder(self.window)
        self.series = SeriesRecorder([self.recorder])

    def read_until(self, end_s: float, tier: str = "storage", *, is_sampled: bool = True) -> None:
        while self.clock.now_ns() < end_s * NS_PER_S:
            observer = self.recorder.observe(tier, "read", MIB)
            began_ns = self.clock.now_ns()
            self.clock.advance(began_ns + 100 * NS_PER_MS)
            observer.chunk(MIB, began_ns, self.clock.now_ns())
            observer.done()
            if is_sampled:
                self.series.sample(self.clock.now_ns())

    def phases(self) -> tuple[PhaseSeries, ...]:
        offset = ClockOffset.none(0)
        return self.series.slots(CommonTime(offset, offset)).series().phases


@pytest.fixture
def lane() -> Lane:
    return Lane()


def test_phases_have_what_was_read_in_them(lane: Lane) -> None:
    lane.series.begin("warm-up", 0)
    lane.read_until(2.5)
    lane.series.end(lane.clock.now_ns())
    lane.window.open(1.5)
    lane.series.begin("window", lane.window.opened_ns)
    lane.read_until(4.0)
    lane.read_until(4.5, is_sampled=False)  # a drain, after the window has closed
    lane.series.end(lane.window.closes_ns)
    warm_up, window = lane.phases()
    assert warm_up.read_bytes == (10 * MIB, 10 * MIB, 5 * MIB)
    assert warm_up.reads == warm_up.read_chunks == (10, 10, 5)
    assert (warm_up.begins_s, warm_up.ends_s) == (-2.5, 0.0)
    (statistics,) = lane.recorder.operations.values()
    assert sum(window.read_bytes) == statistics.moved_bytes
    assert sum(window.reads) == statistics.device.count
    assert window.reads[0] == 10
    assert window.read_p95_ms[0] == pytest.approx(100, rel=0.25)
    assert warm_up.read_p95_ms[0] == window.read_p95_ms[0]
    assert window.writes == (0, 0)


@pytest.mark.parametrize(("lanes", "slot_s"), [(1, 1), (64, 1), (65, 2), (128, 2), (129, 4)])
def test_many_lanes_are_read_less_often(lanes: int, slot_s: int) -> None:
    window = Window(VirtualClock())
    series = SeriesRecorder([Recorder(window) for _ in range(lanes)])
    series.begin("window", 0)
    series.end(NS_PER_S)
    offset = ClockOffset.none(0)
    assert series.slots(CommonTime(offset, offset)).series().window.slot_s == slot_s


def test_other_tiers_are_not_in_it(lane: Lane) -> None:
    lane.series.begin("warm-up", 0)
    lane.read_until(1.0, tier="cpu")
    lane.series.end(lane.clock.now_ns())
    lane.window.open(1.0)
    lane.series.begin("window", lane.window.opened_ns)
    lane.read_until(2.0, tier="cpu")
    lane.series.end(lane.window.closes_ns)
    assert [sum(phase.read_bytes) for phase in lane.phases()] == [0, 0]


@pytest.mark.slow
def test_reading_while_lanes_record_loses_no_count() -> None:
    window = Window()
    window.open(3600.0)
    recorder = Recorder(window)
    series = SeriesRecorder([recorder])
    series.begin("window", 0)
    done = threading.Event()

    def read() -> None:
        for number in range(5000):
            observer = recorder.observe("storage", "read", MIB)
            observer.chunk(MIB, window.opened_ns, window.opened_ns + number * 1000)
            observer.done()
        done.set()

    lane = threading.Thread(target=read)
    lane.start()
    second = 0
    while not done.is_set():
        second += 1
        series.sample(second * NS_PER_S)
    lane.join()
    series.end((second + 1) * NS_PER_S)
    offset = ClockOffset.none(0)
    made = series.slots(CommonTime(offset, offset)).series().window
    assert sum(made.reads) == sum(made.read_chunks) == 5000
    assert sum(made.read_bytes) == 5000 * MIB
