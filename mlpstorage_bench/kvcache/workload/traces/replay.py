"""Requests of a trace with times: in order of their times, with classes of service drawn."""

from __future__ import annotations

import itertools
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from mlpstorage_bench.kvcache.workload.accesses import Rules, decode
from mlpstorage_bench.kvcache.workload.blocks import Block, ReadOrWrite
from mlpstorage_bench.kvcache.workload.request_source import Arrival
from mlpstorage_bench.kvcache.workload.requests import Request
from mlpstorage_bench.kvcache.workload.traces.fields import FieldError, Row
from mlpstorage_bench.kvcache.workload.users import QOS_CLASSES

_SPAWN_KEY = (0, 0, 3)
"""Spawn key of the generator for classes of service; keys of users never have three parts."""


@dataclass(frozen=True)
class Replay:
    """Parameters of a replay."""

    rules: Rules
    seed: int
    """Seed for drawing classes of service, which traces do not have."""
    speed: float = 1.0
    """Speed relative to the recording."""


class Context:
    """State of one replay, shared by its rows."""

    def __init__(self, replay: Replay) -> None:
        self.rules = replay.rules
        self.users: dict[str, int] = {}
        """Key → user, in a trace of operations."""
        self._random = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(replay.seed, spawn_key=_SPAWN_KEY))
        )
        shares = [qos.share for qos in QOS_CLASSES]
        self._bounds = list(itertools.accumulate(shares))[:-1]

    def request(self, user: int, context_tokens: int, generated_tokens: int) -> Request:
        """Return a request without cache accesses, whose class of service is drawn."""
        return Request(
            user=user,
            priority=QOS_CLASSES[bisect(self._bounds, float(self._random.random()))].priority,
            conversation=0,
            turn=0,
            context_tokens=context_tokens,
            generated_tokens=generated_tokens,
            think_s=0.0,
        )

    def request_of_blocks(
        self, user: int, tokens: tuple[int, int], names: Iterable[int], tokens_per_block: int
    ) -> Request:
        """Return a request whose prompt has the blocks of these names."""
        blocks = tuple(Block(f"block{name}", tokens_per_block, "conversation") for name in names)
        request = self.request(user, *tokens)
        is_read = self.rules.phase == "mixed"
        reads = decode(blocks, request.decode_reads, self.rules) if is_read else ()
        return request._replace(accesses=(ReadOrWrite(blocks, is_read), *reads))


Parse = Callable[[int, Row, Context], tuple[float, Request]]
"""Turns a row and its number from 0 into its time in seconds and its request."""


@dataclass(frozen=True)
class TimedFormat:
    """A format whose rows have times."""

    name: str
    time_field: str
    parse: Parse
    is_replayed: Callable[[Row], bool] = field(default=lambda _row: True)
    """Tells whether a row is part of the workload."""


def arrivals(timed: TimedFormat, rows: Iterable[Row], replay: Replay) -> Iterator[Arrival]:
    """Yield the requests of a trace with due times from the first row's time on.

    FieldError for a row that cannot be used, or whose time is before that of an earlier one.
    """
    context = Context(replay)
    start_s = latest_s = None
    for index, row in enumerate(filter(timed.is_replayed, rows)):
        time_s, request = timed.parse(index, row, context)
        start_s = time_s if start_s is None else start_s
        if latest_s is not None and time_s < latest_s:
            raise FieldError(
                timed.time_field,
                f"It is {latest_s - time_s:g} s before that of an earlier line: sort the lines by "
                "time",
            )
        latest_s = time_s
        yield Arrival((time_s - start_s) / replay.speed, request)
