"""The counts of one operation are those of its definition, whatever way they are computed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.measure import coarse_histogram
from mlpstorage_bench.measure.clock import VirtualClock
from mlpstorage_bench.measure.coarse_histogram import CoarseCounter
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.operation_statistics import (
    OperationKey,
    OperationStatistics,
    size_class,
)
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Interval, Window
from mlpstorage_bench.units import MIB

NEAR = st.integers(0, 300)
SPANS = ("wait", "chunk", "block", "durability", "verification", "device", "host", "host_only")


@dataclass(frozen=True)
class Call:
    """One call of an observer."""

    name: Literal["chunk", "cached", "durable", "verified"]
    size: int
    start: int
    end: int
    late: int


CALLS = st.lists(
    st.builds(
        lambda name, size, start, length, late: Call(name, size, start, start + length, late),
        st.sampled_from(["chunk", "chunk", "chunk", "cached", "durable", "verified"]),
        st.integers(0, 20),
        NEAR,
        st.integers(0, 80),
        st.integers(0, 2),
    ),
    max_size=12,
)


@dataclass(frozen=True)
class Case:
    """An operation, and the intervals in which it may count."""

    opened: int
    closes: int
    process: Interval
    device: Interval
    requested: int
    started: int
    ended: int
    calls: list[Call]
    is_repeated: bool
    is_copy: bool
    is_cut_off: bool
    block_bytes: int | None

    def window(self) -> Window:
        clock = VirtualClock()
        clock.advance(self.started)
        window = Window(clock)
        window.opened_ns, window.closes_ns = self.opened, self.closes
        window.process_counted, window.device_counted = self.process, self.device
        return window

    def is_inside(self, moment: int) -> bool:
        return self.opened <= moment < self.closes


INTERVALS = st.tuples(NEAR, NEAR).map(lambda edges: Interval(*sorted(edges)))
CASES = st.builds(
    Case,
    *(NEAR, NEAR, INTERVALS, INTERVALS),
    *(NEAR, NEAR, NEAR, CALLS),
    *(st.booleans(), st.booleans(), st.booleans(), st.none() | st.integers(1, 40)),
)


def spans_an_edge(interval: Interval, start: int, end: int) -> bool:
    return any(start < edge <= end for edge in (interval.start_ns, interval.end_ns))


def counts(case: Case) -> dict[str, int]:
    """Return the counts by their definitions; those of 0 are left out."""
    made: Counter[str] = Counter()
    cached_bytes = cached_from = 0
    for call in case.calls:
        moved = 0 if call.name in {"cached", "verified"} else call.size
        submitted = call.size if call.name in {"chunk", "cached"} else 0
        made["total_bytes"] += moved
        made["submitted_bytes"] += submitted * case.process.contains(call.start)
        made["completed_bytes"] += moved * case.device.contains(call.end)
        if call.name == "chunk":
            made["submitting_bytes"] += moved * spans_an_edge(case.process, call.start, call.end)
            made["completing_bytes"] += moved * spans_an_edge(case.device, call.start, call.end)
        elif call.name == "cached":
            cached_from = cached_from if cached_bytes else call.start
            cached_bytes += call.size
        elif call.name == "durable":
            synced = min(call.size, cached_bytes)
            made["completing_bytes"] += synced * spans_an_edge(case.device, cached_from, call.end)
            cached_bytes -= synced
        if case.is_inside(call.end):
            made["moved_bytes"] += moved
            made["copied_bytes"] += moved * case.is_copy
            made["repeated_bytes"] += moved * (case.is_repeated and call.name == "chunk")
            made["chunks"] += call.name in {"chunk", "cached"}
            made["verified_chunks"] += call.name == "verified"
            if call.name == "chunk" and call.late:
                made["late_completions"] += 1
                made["latency_overestimate_ns"] += call.late
    if case.is_cut_off:
        stopped = max(case.started, case.ended)
        made["completing_bytes"] += cached_bytes * spans_an_edge(case.device, cached_from, stopped)
    ended = max(case.started, case.ended)
    made["in_flight_at_open"] += case.started < case.opened <= ended
    made["in_flight_at_close"] += case.started < case.closes <= ended
    return {name: count for name, count in made.items() if count}


def spans(case: Case) -> dict[str, list[int]]:
    """Return the recorded values by their definitions; `outside` ones by a prefix."""
    made: dict[str, list[int]] = {}
    blocks: list[Call] = []
    for call in case.calls:
        outside = "" if case.is_inside(call.end) else "outside "
        name = {"durable": "durability", "verified": "verification"}.get(call.name, "chunk")
        if not outside or name == "chunk":
            made.setdefault(outside + name, []).append(call.end - call.start)
        if call.name == "chunk" and case.block_bytes is not None:
            blocks.append(call)
            if sum(one.size for one in blocks) >= case.block_bytes:
                began = min(one.start for one in _begun(blocks))
                if not outside:
                    made.setdefault("block", []).append(call.end - began)
                blocks = []
    if not case.is_cut_off:
        ended = max(case.started, case.ended)
        busy = len({m for c in case.calls if c.name != "verified" for m in range(c.start, c.end)})
        host = ended - case.started
        if case.is_inside(ended):
            for name, value in zip(
                ("wait", "device", "host", "host_only"),
                (case.started - case.requested, busy, host, host - busy),
                strict=True,
            ):
                made[name] = [value]
        else:
            made["outside device"] = [busy]
    return made


def _begun(blocks: list[Call]) -> list[Call]:
    """Return the calls from the first one that moved something."""
    first = next(number for number, one in enumerate(blocks) if one.size or one is blocks[-1])
    return blocks[first:]


def observed(case: Case) -> OperationStatistics:
    window = case.window()
    recorder = Recorder(window, case.block_bytes)
    observer = recorder.observe(
        *("storage", "read", MIB, case.requested),
        is_repeated=case.is_repeated,
        is_copy=case.is_copy,
    )
    for call in case.calls:
        if call.name == "chunk":
            observer.chunk(call.size, call.start, call.end, call.late)
        elif call.name == "cached":
            observer.cached(call.size, call.start, call.end)
        elif call.name == "durable":
            observer.durable(call.start, call.end, call.size)
        else:
            observer.verified(call.start, call.end)
    assert isinstance(window.clock, VirtualClock)
    window.clock.advance(case.ended)
    if case.is_cut_off:
        observer.cut_off()
    else:
        observer.done()
    return recorder.operations[OperationKey("storage", "read", "1 to 16 MiB")]


def coarse(values: list[int] | CoarseCounter) -> list[int]:
    counter = values
    if isinstance(values, list):
        counter = CoarseCounter()
        for value in values:
            counter.record(value)
    assert isinstance(counter, CoarseCounter)
    total = np.zeros(coarse_histogram.BUCKETS, dtype=np.int64)
    counter.add_to(total)
    return total.tolist()


@pytest.mark.slow
@given(CASES)
def test_operation_is_counted_by_the_definitions(case: Case) -> None:
    statistics, expected = observed(case), spans(case)
    content = statistics.to_dict()
    for name in SPANS:
        histogram = Histogram()
        for value in expected.get(name, []):
            histogram.record(value)
        assert content.pop(name) == histogram.to_dict(), name
    assert {name: count for name, count in content.items() if count} == counts(case)
    assert coarse(statistics.outside.chunk) == coarse(expected.get("outside chunk", []))
    assert coarse(statistics.outside.device) == coarse(expected.get("outside device", []))


@pytest.mark.slow
@given(st.lists(st.integers(0, 1 << 40) | st.integers(0, 40).map(lambda bits: 1 << bits)))
def test_entries_of_all_sizes_are_counted_in_their_classes(sizes: list[int]) -> None:
    recorder = Recorder(Window())
    for size in sizes:
        for of_size in (size, max(size - 1, 0)):
            recorder.observe("storage", "write", of_size).chunk(of_size, 0, 1)
    expected: Counter[OperationKey] = Counter()
    for size in sizes:
        for of_size in (size, max(size - 1, 0)):
            expected[OperationKey("storage", "write", size_class(of_size))] += of_size
    assert {key: one.total_bytes for key, one in recorder.operations.items()} == dict(expected)


def test_moments_that_the_caller_has_are_used_instead_of_the_clock() -> None:
    window = Window(VirtualClock())
    window.opened_ns, window.closes_ns = 0, 1000
    recorder = Recorder(window)
    recorder.observe("storage", "read", MIB, 40, started_ns=100).done(350)
    recorder.observe("storage", "read", MIB, started_ns=900).cut_off(1000)
    (statistics,) = recorder.operations.values()
    assert (statistics.wait.sum_ns, statistics.host.sum_ns) == (60, 250)
    assert (statistics.host.count, statistics.in_flight_at_close) == (1, 1)
