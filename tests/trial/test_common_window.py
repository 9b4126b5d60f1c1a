"""When the storage's counters are read, and how long they count."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mlpstorage_bench.measure.clock_offset import ClockOffset
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import Source, SourceFiles
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.trial import common_window
from mlpstorage_bench.trial.common_window import CommonWindow, RankPlace, RankWork
from mlpstorage_bench.trial.counter_probe import UsableCounters
from mlpstorage_bench.trial.mount_probe import MountCounters
from mlpstorage_bench.trial.rank_window import RankWindow
from mlpstorage_bench.units import NS_PER_S
from tests.trials import SoloRanks

READ, WAIT, COMPARE, WORK = "read", "barrier", "compare clocks", "work"


class NotedRanks(SoloRanks):
    """One rank that notes its barriers."""

    def __init__(self, events: list[str]) -> None:
        super().__init__()
        self._events = events

    def barrier(self) -> None:
        self._events.append(WAIT)

    def clock_offset(self, now_ns: Callable[[], int], clock: int = 0) -> ClockOffset:
        self._events.append(COMPARE)
        return super().clock_offset(now_ns, clock)


def counters(folder: Path, events: list[str]) -> UsableCounters:
    """Return the counters of a mount, which note each reading."""
    (folder / "stats").write_text("0", encoding="utf-8")

    def parse(_: Sequence[str]) -> Traffic:
        events.append(READ)
        return Traffic(0, 0)

    source = Source("the mount", "host", "exact")
    files = SourceFiles(source, (str(folder / "stats"),), parse)
    return UsableCounters(mount=MountCounters(files))


def measured(folder: Path, length_s: float | None, events: list[str]) -> RankWindow:
    """Return the window of one rank, whose work is a note."""
    place = RankPlace(0, "here", "direct", counters(folder, events), chunk_bytes=1)
    window = Window()
    common = CommonWindow(window, place, NotedRanks(events))
    common.compare_clocks()
    common.open(length_s)
    common.read_start()
    events.append(WORK)
    window.close()
    common.read_end()
    common.end()
    return common.record(
        RankWork(
            closed_by="complete",
            lanes=1,
            in_flight=1,
            movers=1,
            operations={},
            corruption="",
            failure=None,
        )
    )


def test_storage_is_read_where_no_rank_works_if_windows_end_with_the_work(tmp_path: Path) -> None:
    """Ranks that compare their clocks first do not wait for those that still prepare their work."""
    events: list[str] = []
    measured(tmp_path, None, events)
    assert events == [COMPARE, WAIT, READ, WAIT, WORK, WAIT, READ, COMPARE]


def test_storage_is_read_at_the_edges_of_a_window_of_a_given_length(tmp_path: Path) -> None:
    events: list[str] = []
    measured(tmp_path, 60.0, events)
    assert events == [COMPARE, WAIT, READ, WORK, READ, WAIT, COMPARE]


def test_storage_counts_from_one_reading_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window opens and closes between the two, half a second from each."""
    now_ns = 0
    monkeypatch.setattr(time, "perf_counter_ns", lambda: now_ns)

    def pass_half_a_second(*_: object) -> int:
        nonlocal now_ns
        now_ns += NS_PER_S // 2
        return now_ns

    monkeypatch.setattr(common_window, "common_moment_ns", pass_half_a_second)
    monkeypatch.setattr(NotedRanks, "barrier", pass_half_a_second)
    rank = measured(tmp_path, None, [])
    assert (rank.window_s, rank.counted_s) == (0.0, 1.0)
