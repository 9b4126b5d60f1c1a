"""Bytes of a user's entries, counted in arrays: a million requests take less than a second."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.workload.requests import UserDraws
from mlpstorage_bench.kvcache.workload.turns import (
    LEAST_THINKING,
    Integers,
    Reals,
    Turns,
    draw_turns,
    least_of,
)
from mlpstorage_bench.kvcache.workload.users import MOST_CONTEXT_TOKENS, User

_MOST_DRAWN_AT_ONCE = 4096


class Pace(NamedTuple):
    """Time that passes between the requests of a user, if storage takes none."""

    think_time_scale: float
    generation_s_per_token: float
    ends_s: float
    """Moment from which no request begins."""

    def turns_until(self, now_s: float, user: User) -> int:
        """Return the most turns that a user can begin from `now_s` to the end."""
        shortest_s = self.think_time_scale * LEAST_THINKING * user.think_s
        shortest_s += self.generation_s_per_token * least_of(user.generated_tokens)
        turns = (self.ends_s - now_s) / shortest_s if shortest_s else _MOST_DRAWN_AT_ONCE
        return 1 + int(min(turns, _MOST_DRAWN_AT_ONCE))

    def moments(self, now_s: float, turns: Turns) -> Reals:
        """Return the beginning of each turn, and the moment after the last one."""
        steps = np.empty(1 + 2 * len(turns.think_s))
        steps[0] = now_s
        steps[1::2] = turns.generated_tokens * self.generation_s_per_token
        steps[2::2] = turns.think_s * self.think_time_scale
        return np.cumsum(steps)[::2]


class Bounds(NamedTuple):
    """Numbers of a user's requests after which no further one is examined."""

    limit: int | None
    """Requests that it has; None: time alone limits them."""
    most: int
    enough: int = 0
    """Requests that are enough once their bytes exceed `enough_bytes`."""
    enough_bytes: int | None = None
    """None: no number is enough."""


class Examined(NamedTuple):
    """Requests of a user that were examined."""

    requests: int
    occupied_bytes: int
    largest_tokens: int
    is_complete: bool
    """Whether they are all that it has until the end."""


def examine(drawn: UserDraws, pace: Pace, sizes: Integers, bounds: Bounds) -> Examined:
    """Examine the requests of a user, whose entries occupy `sizes` by their tokens."""
    now_s = drawn.start_s * pace.think_time_scale
    requests = occupied = largest = 0
    while now_s < pace.ends_s and requests != bounds.limit:
        if requests >= bounds.most:
            return Examined(requests, occupied, largest, is_complete=False)
        left = bounds.most if bounds.limit is None else min(bounds.most, bounds.limit)
        at_once = min(left - requests, _MOST_DRAWN_AT_ONCE, pace.turns_until(now_s, drawn.user))
        turns = draw_turns(drawn.user, drawn.random, at_once)
        moments = pace.moments(now_s, turns)
        begun = int(np.searchsorted(moments[:-1], pace.ends_s))
        tokens = turns.context_tokens[:begun]
        totals = np.cumsum(sizes[tokens])
        enough = begun
        if bounds.enough_bytes is not None:
            missing = bounds.enough_bytes - occupied
            full = 0 if missing < 0 else 1 + int(np.searchsorted(totals, missing, side="right"))
            enough = min(begun, max(bounds.enough - requests, full))
        if enough:
            requests += enough
            occupied += int(totals[enough - 1])
            largest = max(largest, int(tokens[:enough].max()))
        if enough < begun:
            return Examined(requests, occupied, largest, is_complete=False)
        now_s = float(moments[begun])
    return Examined(requests, occupied, largest, is_complete=True)


def sizes_by_tokens(workload: Workload, units: Iterable[int]) -> Integers:
    """Return the bytes that an entry occupies, by its tokens, rounded up to units in turn."""
    tokens = np.arange(1 + MOST_CONTEXT_TOKENS)
    stored = np.maximum(1, np.rint(tokens * workload.entry_scale)).astype(np.int64)
    sizes: Integers = stored * workload.bytes_per_token
    for unit in units:
        sizes = -(-sizes // unit) * unit
    return sizes
