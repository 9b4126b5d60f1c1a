"""Figures of both sides, alone and together, and what each loses."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.interference.results import Kind, Second, SideResult
from mlpstorage_bench import registry
from mlpstorage_bench.metric.declaration import Better
from mlpstorage_bench.units import GIB

LOAD = "kv_cache"
FIGURES: Mapping[str, tuple[str, ...]] = {
    "checkpointing": ("write_gib_s", "read_gib_s", "standstill_s"),
    "training": ("au_percentage", "samples_per_s"),
}
"""Metrics that are compared, by the type of the side beside the load."""
_KINDS: tuple[Kind, ...] = ("read", "write")
_PERCENT = 100.0


@dataclass(frozen=True)
class Sides:
    """Results of a load of the KV cache and of what ran beside it, or of each alone."""

    load: SideResult
    beside: SideResult


@dataclass(frozen=True)
class Comparison:
    """A figure alone and together."""

    type_name: str
    title: str
    better: Better
    alone: tuple[tuple[float | None, ...], ...]
    """Values of all runs alone, in the seconds that count, for each run together.

    A run alone lies before each run together, and one after the last.
    """
    together: tuple[float | None, ...]

    @property
    def losses(self) -> list[float | None]:
        """Loss of each run together, in percent of the mean of the runs before and after it."""
        pairs = enumerate(zip(self.alone, self.together, strict=True))
        return [loss(mean(alone[n : n + 2]), seen, self.better) for n, (alone, seen) in pairs]

    @property
    def drift(self) -> float | None:
        """Greatest difference between runs alone, in percent of their mean; None if unknown.

        A loss that is not greater may be no loss.
        """
        drifts = [drift(alone) for alone in self.alone]
        known = [one for one in drifts if one is not None]
        return max(known) if known and len(known) == len(drifts) else None

    @property
    def is_within_drift(self) -> bool:
        """Whether the median loss is not greater than the drift, or the drift is unknown."""
        known = [one for one in self.losses if one is not None]
        return bool(known) and (self.drift is None or abs(statistics.median(known)) <= self.drift)


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None if a value is unknown."""
    known = [one for one in values if one is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def drift(values: Sequence[float | None]) -> float | None:
    """Return the greatest difference of values, in percent of their mean; None if unknown."""
    middle, known = mean(values), [one for one in values if one is not None]
    return None if not middle else (max(known) - min(known)) / middle * _PERCENT


def loss(alone: float | None, together: float | None, better: Better) -> float | None:
    """Return by how much a figure is worse together, in percent of the figure alone.

    Negative if it is better; None if a figure is unknown or nothing was measured alone.
    """
    if not alone or together is None:
        return None
    worse = alone - together if better == "higher" else together - alone
    return worse / alone * _PERCENT


def bandwidth_gib_s(seconds: Sequence[Second]) -> float | None:
    """Return the bandwidth over some seconds; None over none."""
    length_s = sum(one.window.length_s for one in seconds)
    return sum(one.moved_bytes for one in seconds) / GIB / length_s if length_s else None


def usual_p95_ms(seconds: Sequence[Second]) -> float | None:
    """Return the median of the seconds' P95; None if no entry ended."""
    known = [one.p95_ms for one in seconds if one.p95_ms is not None]
    return statistics.median(known) if known else None


def compare(beside: str, alone: Sequence[Sides], together: Sequence[Sides]) -> list[Comparison]:
    """Return the figures of both sides; `beside` is the type of the side beside the load.

    Figures that no run has are left out.
    """
    others = [one.beside for one in alone], [one.beside for one in together]
    rows = [*_of_load(alone, together), *_of_type(beside, *others)]
    return [row for row in rows if any(one is not None for one in values_of(row))]


def values_of(row: Comparison) -> Iterator[float | None]:
    """Yield all values of a figure."""
    yield from itertools.chain(*row.alone, row.together)


def _of_load(alone: Sequence[Sides], together: Sequence[Sides]) -> Iterator[Comparison]:
    """Yield the load's figures, together those of the seconds in which both windows were open.

    In the other ones the session beside it starts, calibrates and ends, which is no work of a
    system that is simulated. Of the runs alone the same seconds count: the load changes over time.
    """
    figures: tuple[tuple[str, Better, Callable[[Sequence[Second]], float | None]], ...] = (
        ("GiB/s", "higher", bandwidth_gib_s),
        ("p95 ms", "lower", usual_p95_ms),
    )
    for title, better, figure in figures:
        for kind in _KINDS:
            everywhere = frozenset.intersection(*(one.load.places(kind) for one in alone))
            counted = [one.load.places(kind, one.beside.windows) & everywhere for one in together]
            yield Comparison(
                LOAD,
                f"{kind} {title}",
                better,
                tuple(
                    tuple(figure(one.load.seconds_at(kind, places)) for one in alone)
                    for places in counted
                ),
                tuple(
                    figure(one.load.seconds_at(kind, places))
                    for one, places in zip(together, counted, strict=True)
                ),
            )


def _of_type(
    name: str, alone: Sequence[SideResult], together: Sequence[SideResult]
) -> Iterator[Comparison]:
    declared = {metric.name: metric for metric in registry.load(name).metrics}
    for figure in FIGURES[name]:
        metric, value = declared[figure], _reader(figure)
        assert metric.better is not None, "figures that are compared have a direction"
        yield Comparison(
            name,
            metric.title or metric.name,
            metric.better,
            (tuple(map(value, alone)),) * len(together),
            tuple(map(value, together)),
        )


def _reader(figure: str) -> Callable[[SideResult], float | None]:
    return partial(SideResult.value, metric=figure)
