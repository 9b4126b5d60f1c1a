"""Runs of ours beside runs of fio: in turn, with fio's memory in single and in huge pages."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness.fio import HUGE, MEMORIES, Fio
from benchmarks.harness.flat_load import Load, Sample, alternate
from mlpstorage_bench.storage.files import IoMode

RAMP_S = 0.15
WINDOW_S = 0.5
"""Short, so that the studies beside fio take less than half an hour."""
OWN_RUNS = ("", "hot_", "bare_", "verified_")
"""Prefixes of our runs' figures: rested buffers, unchecked; the buffer used last next; writes of
whatever the buffers hold; every read checked."""

Measures = dict[str, Callable[[], Sample]]
"""Runs by name: a prefix of OWN_RUNS and `own`, or one of MEMORIES and `fio`."""


class Conditions(NamedTuple):
    """The options of a study, and the memory that fio may have: the same for all its cases."""

    pairs: int
    io_threads: int
    huge_pages_lacking: str
    """Reason why fio has no huge pages; '' if it has."""

    def figures(self) -> dict[str, Any]:
        """Return what a case states about them."""
        return self._asdict()

    @property
    def memories(self) -> dict[str, str]:
        """Memories for fio, by the prefix of their figures."""
        return {
            prefix: memory
            for prefix, memory in MEMORIES.items()
            if memory != HUGE or not self.huge_pages_lacking
        }


def fio_runs(
    file: Path,
    load: Load,
    io_mode: IoMode,
    memories: Mapping[str, str],
    options: Sequence[str] = (),
    *,
    window_s: float = WINDOW_S,
    ramp_s: float = RAMP_S,
) -> Measures:
    """Return a run of fio for each memory."""

    def measure(memory: str) -> Callable[[], Sample]:
        fio = Fio(file, load, io_mode, memory, options)
        return lambda: fio.run(window_s, ramp_s)

    return {f"{prefix}fio": measure(memory) for prefix, memory in memories.items()}


def in_turn(benchmark: Any, measures: Measures, pairs: int) -> dict[str, list[Sample]]:
    """Take `pairs` samples of each run, all in turn."""
    taken = alternate(benchmark, *measures.values(), pairs=pairs)
    return dict(zip(measures, taken, strict=True))


def figures(samples: Mapping[str, list[Sample]]) -> dict[str, float | None]:
    """Return the medians of ratios, ours / fio's, and of the runs themselves.

    Each kind of run and each memory has its figures; those that were not measured are None.
    """
    found: dict[str, float | None] = {}
    for run, memory in itertools.product(OWN_RUNS, MEMORIES):
        found |= _ratios(samples.get(f"{run}own"), samples.get(f"{memory}fio"), run + memory)
    for name in (*(f"{run}own" for run in OWN_RUNS), *(f"{memory}fio" for memory in MEMORIES)):
        found |= _medians(samples.get(name), name)
    return found


def _ratios(
    own: list[Sample] | None, reference: list[Sample] | None, prefix: str
) -> dict[str, float | None]:
    """Return the medians of the pairs' ratios."""
    pairs = list(zip(own or (), reference or (), strict=bool(own and reference)))
    ratios = {
        "bandwidth_ratio": [a.gib_s / b.gib_s for a, b in pairs],
        "p95_ratio": [a.p95_ms / b.p95_ms for a, b in pairs],
        "cpu_ratio": [a.cpu_s_per_gib / b.cpu_s_per_gib for a, b in pairs],
    }
    return {f"{prefix}{name}": _median(values) for name, values in ratios.items()}


def _medians(samples: list[Sample] | None, name: str) -> dict[str, float | None]:
    taken = samples or []
    return {
        f"{name}_gib_s": _median([sample.gib_s for sample in taken]),
        f"{name}_cpu_s_per_gib": _median([sample.cpu_s_per_gib for sample in taken]),
        f"{name}_late_share": _median([sample.late_share for sample in taken]),
        f"{name}_read_share": _median([sample.read_share for sample in taken]),
    }


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None
