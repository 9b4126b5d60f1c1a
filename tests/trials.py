"""Small trials on one rank, on real files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.measure.clock_offset import ClockOffset
from mlpstorage_bench.mpi.ranks import Notice
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.trial.counter_probe import UsableCounters
from mlpstorage_bench.units import MIB

T = TypeVar("T")


class SoloRanks:
    """A single rank; `closing` and `failed` simulate notices of others."""

    rank = 0
    size = 1

    def __init__(self, *, closing: bool = False, failed: tuple[int, ...] = ()) -> None:
        self.barriers = 0
        self.announced: list[Notice] = []
        self._figures: dict[int, bytes] = {}
        self._noticed = {Notice.CLOSING: [1] if closing else [], Notice.FAILED: [*failed]}

    def barrier(self) -> None:
        self.barriers += 1

    def bcast(self, value: T) -> T:
        return value

    def gather(self, value: T) -> list[T] | None:
        return [value]

    def merge(self, value: T, add: Callable[[T, T], T]) -> T | None:
        del add
        return value

    def clock_offset(self, now_ns: Callable[[], int], clock: int = 0) -> ClockOffset:
        del clock
        return ClockOffset.none(now_ns())

    def defer_interrupts(self) -> AbstractContextManager[None]:
        return nullcontext()

    def raise_deferred(self) -> None:
        pass

    def post(self, figures: bytes) -> None:
        self._figures = {0: figures}

    def posted(self) -> Mapping[int, bytes]:
        return self._figures

    def announce(self, notice: Notice) -> None:
        self.announced.append(notice)

    def poll(self, notice: Notice) -> list[int]:
        return self._noticed[notice]


def workload(**changes: object) -> Workload:
    values = {
        "model": "tiny-1b",
        "num_users": 6,
        "duration": 0.4,
        "max_concurrent_allocs": 4,
        "entry_scale": 0.01,
        "think_time_scale": 0.01,
        "io_chunk_kib": 64,
        **changes,
    }
    return Workload.model_validate(values)


def context(folder: Path, capacity: int = 256 * MIB) -> TrialContext:
    mode = "direct" if probe_direct_io(folder).is_available else "buffered"
    counters = UsableCounters.probe(folder, mode)  # type: ignore[arg-type]  # a literal
    return TrialContext(0, "here", folder, mode, capacity, seed=42, counters=counters)  # type: ignore[arg-type]  # the same


def trial(folder: Path, capacity: int = 256 * MIB, **changes: Any) -> RankTrial:
    result = run_trial(workload(**changes), context(folder, capacity), SoloRanks())
    assert result.failure is None, repr(result.failure)
    return result


def served(
    folder: Path, capacity: int = 256 * MIB, requests: int = 60, **changes: Any
) -> RankTrial:
    """Return a trial with a fixed number of requests, of any duration."""
    result = trial(folder, capacity, requests=requests, duration=600.0, **changes)
    assert result.closed_by == "number of requests"
    return result


def corrupt_repeatedly(folder: Path, action: Callable[[Path], None]) -> threading.Event:
    """Apply an action to every cache file repeatedly, until the event is set."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.002):
            for path in list(folder.glob("*.kv")):
                try:
                    action(path)
                except FileNotFoundError:
                    continue

    threading.Thread(target=work, daemon=True).start()
    return done
