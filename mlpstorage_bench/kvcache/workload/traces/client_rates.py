"""ServeGen's clients: rates of arrivals and lengths of requests, from which requests are drawn.

A client is two files. `NAME-trace.csv` has no header; its columns are the start of an interval in
seconds, the rate per second, its variation, a distribution (Gamma or Weibull), its shape and its
scale. Times between arrivals are drawn with that rate and shape: the recorded scales do not agree
with the rates. `NAME-dataset.json` has, for each start of a longer interval, how often lengths of
prompts and answers occur; where an interval has none, those of the nearest one before it count, or
else the nearest after it. Nothing is shared between requests.
"""

from __future__ import annotations

import itertools
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mlpstorage_bench.kvcache.workload.request_source import Arrival
from mlpstorage_bench.kvcache.workload.traces.fields import (
    LATEST_S,
    MOST_TOKENS,
    FieldError,
    Row,
    number,
    seconds,
    text,
)
from mlpstorage_bench.kvcache.workload.traces.replay import Context, Replay

COLUMNS = ("time", "rate", "cv", "distribution", "shape", "scale")
TRACE_SUFFIX, DATASET_SUFFIX = "-trace.csv", "-dataset.json"
_SPAWN_KEY = (0, 0, 4)
"""Spawn key of the generator for arrivals and lengths; keys of users never have three parts."""
_MOST_PER_S = 10_000
_SHAPES = (0.01, 1000.0)
_MOST_LENGTHS = 1_000_000
_FREQUENCIES = re.compile(r"\{(?:[0-9]+: [0-9.e+-]+(?:, )?)*\}")
_FREQUENCY = re.compile(r"([0-9]{1,9}): ([0-9.e+-]{1,30})")


class Interval(NamedTuple):
    """Arrivals from a time on."""

    start_s: float
    rate: float
    distribution: str
    shape: float


@dataclass(frozen=True)
class Frequencies:
    """Lengths and how often each occurs, added up to 1."""

    tokens: npt.NDArray[np.int64]
    cumulative: npt.NDArray[np.float64]

    def at(self, uniform: float) -> int:
        """Return the length for a random number from 0 to 1."""
        found = int(np.searchsorted(self.cumulative, uniform, side="right"))
        return int(self.tokens[min(found, len(self.tokens) - 1)])


class Lengths(NamedTuple):
    """Lengths of prompts and answers from a time on."""

    start_s: float
    prompts: Frequencies
    answers: Frequencies


def interval(row: Row) -> Interval:
    """Return the interval of a row; FieldError if there is none."""
    start_s, rate, kind = seconds(row, "time"), number(row, "rate"), text(row, "distribution")
    if not 0 <= rate <= _MOST_PER_S:
        raise FieldError("rate", f"It is {rate}; accepted: from 0 to {_MOST_PER_S} per second")
    if not rate:
        return Interval(start_s, 0.0, kind, 1.0)
    if kind not in ("Gamma", "Weibull"):
        raise FieldError("distribution", f"It is {kind[:50]!r}; accepted: Gamma, Weibull")
    shape = number(row, "shape")
    if not _SHAPES[0] <= shape <= _SHAPES[1]:
        raise FieldError("shape", f"It is {shape}; accepted: from {_SHAPES[0]} to {_SHAPES[1]}")
    return Interval(start_s, float(rate), kind, float(shape))


def lengths(dataset: object) -> list[Lengths]:
    """Return the lengths in a client's dataset, in order of time; FieldError if there are none."""
    if not isinstance(dataset, Mapping):
        raise FieldError("dataset", "It is no object")
    found = []
    for start, one in dataset.items():
        if not isinstance(one, Mapping):
            raise FieldError(start, "It is no object")
        start_s = seconds({"time": start}, "time")
        prompts = _frequencies(one, "input_tokens")
        answers = _frequencies(one, "output_tokens")
        if prompts is not None and answers is not None:
            found.append(Lengths(start_s, prompts, answers))
    if not found:
        raise FieldError("input_tokens", "No interval has lengths")
    return sorted(found, key=lambda one: one.start_s)


def drawn(
    intervals: Iterable[Interval], drawn_from: Sequence[Lengths], replay: Replay
) -> Iterator[Arrival]:
    """Yield requests with due times from the first one on; the last interval is as its former."""
    context = Context(replay)
    random = np.random.Generator(
        np.random.PCG64(np.random.SeedSequence(replay.seed, spawn_key=_SPAWN_KEY))
    )
    starts = [one.start_s for one in drawn_from]
    first_s = None
    index = 0
    for one, length_s in _with_lengths(intervals):
        if not one.rate:
            continue
        part = drawn_from[max(0, bisect_right(starts, one.start_s) - 1)]
        for elapsed_s in _arrivals(one, length_s, random):
            tokens = part.prompts.at(random.random()), part.answers.at(random.random())
            due_s = one.start_s + elapsed_s
            first_s = due_s if first_s is None else first_s
            yield Arrival((due_s - first_s) / replay.speed, context.request(index, *tokens))
            index += 1


def _with_lengths(intervals: Iterable[Interval]) -> Iterator[tuple[Interval, float]]:
    """Yield each interval with its length in seconds; FieldError where times do not increase."""
    length_s = 0.0
    for one, following in itertools.pairwise(itertools.chain(intervals, [None])):
        if one is None:
            return
        if following is not None:
            length_s = following.start_s - one.start_s
            if length_s <= 0:
                raise FieldError("time", "It is not after that of the line before")
        yield one, length_s


def _arrivals(one: Interval, length_s: float, random: np.random.Generator) -> Iterator[float]:
    """Yield times within an interval."""
    is_gamma = one.distribution == "Gamma"
    mean = one.shape if is_gamma else math.gamma(1 + 1 / one.shape)
    elapsed_s = 0.0
    while True:
        gap = random.gamma(one.shape) if is_gamma else random.weibull(one.shape)
        elapsed_s += float(gap) / mean / one.rate
        if elapsed_s >= length_s or elapsed_s > LATEST_S:
            return
        yield elapsed_s


def _frequencies(one: Mapping[str, Any], field: str) -> Frequencies | None:
    """Return the frequencies in a field; None if it has none."""
    written = text(one, field)
    if not _FREQUENCIES.fullmatch(written):
        raise FieldError(field, "It is no list of {length: frequency, ...}")
    pairs = _FREQUENCY.findall(written)
    if not pairs:
        return None
    if len(pairs) > _MOST_LENGTHS:
        raise FieldError(field, f"It has more than {_MOST_LENGTHS} lengths")
    shares = [number({field: share}, field) for _, share in pairs]
    total = math.fsum(shares)
    if min(shares) < 0 or not math.isfinite(total) or total <= 0:
        raise FieldError(field, "Frequencies have to be from 0 on, and one above it")
    tokens = [int(length) for length, _ in pairs]
    if max(tokens) > MOST_TOKENS:
        raise FieldError(field, f"It has {max(tokens)}; accepted: at most {MOST_TOKENS} tokens")
    return Frequencies(np.array(tokens), np.cumsum(shares) / total)
