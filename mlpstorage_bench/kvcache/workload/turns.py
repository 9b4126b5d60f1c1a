"""Turns of a user, drawn many at once: a trial takes few of them, and sizing up to a million."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np

from mlpstorage_bench.kvcache.workload.users import User

END_PROBABILITY = 0.2
"""Probability that a conversation ends after a turn."""
LEAST_THINKING = 0.8
"""Shortest think time, as a share of the user's."""
_MORE_THINKING = 0.4
"""Range of think times, as a share of the user's."""
_UNIFORMS = 4
"""Numbers from [0, 1) that a turn takes from its user's generator."""

_TURNS_AT_ONCE = 16
"""Turns whose numbers are drawn together, which takes a tenth of the time."""

Integers: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]
Reals: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
Truths: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]


class Turns(NamedTuple):
    """Consecutive turns of a user; each array has one value for a turn."""

    context_tokens: Integers
    generated_tokens: Integers
    think_s: Reals
    ends: Truths
    """Whether the conversation ends after the turn."""


def draw_turns(user: User, random: np.random.Generator, count: int) -> Turns:
    """Draw the user's next turns: the same values, however many are drawn at once."""
    context, generated, think, end = random.random((count, _UNIFORMS)).T
    return Turns(
        _quarter_to_whole(user.context_tokens, context),
        _quarter_to_whole(user.generated_tokens, generated),
        user.think_s * (LEAST_THINKING + _MORE_THINKING * think),
        end < END_PROBABILITY,
    )


def turns_one_by_one(
    user: User, random: np.random.Generator
) -> Iterator[tuple[int, int, float, bool]]:
    """Yield the values of `draw_turns` without end, a turn after the other.

    A trial takes few turns of each of many users, for which arrays take longer.
    """
    context_least, generated_least = least_of(user.context_tokens), least_of(user.generated_tokens)
    context_range = user.context_tokens - context_least + 1
    generated_range = user.generated_tokens - generated_least + 1
    while True:
        for context, generated, think, end in random.random((_TURNS_AT_ONCE, _UNIFORMS)).tolist():
            yield (
                context_least + int(context * context_range),
                generated_least + int(generated * generated_range),
                user.think_s * (LEAST_THINKING + _MORE_THINKING * think),
                end < END_PROBABILITY,
            )


def _quarter_to_whole(drawn: int, uniforms: Reals) -> Integers:
    """Map numbers from [0, 1) to integers from a quarter of `drawn` to `drawn`."""
    least = least_of(drawn)
    return least + (uniforms * (drawn - least + 1)).astype(np.int64)


def least_of(drawn: int) -> int:
    """Return the least number of tokens of turns whose greatest is `drawn`."""
    return max(1, drawn // 4)
