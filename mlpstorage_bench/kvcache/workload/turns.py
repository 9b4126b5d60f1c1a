"""Turns of a user, drawn many at once: a trial takes few of them, and sizing up to a million."""

from __future__ import annotations

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


def _quarter_to_whole(drawn: int, uniforms: Reals) -> Integers:
    """Map numbers from [0, 1) to integers from a quarter of `drawn` to `drawn`."""
    least = least_of(drawn)
    return least + (uniforms * (drawn - least + 1)).astype(np.int64)


def least_of(drawn: int) -> int:
    """Return the least number of tokens of turns whose greatest is `drawn`."""
    return max(1, drawn // 4)
