"""Permutations that are a function of numbers alone, the same on every host and NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_MASK = (1 << 64) - 1


def permutation(count: int, seed: int, number: int) -> NDArray[np.int64]:
    """Return the numbers from 0 to `count` - 1 in the order that seed and number determine.

    Each number is mixed with both by SplitMix64's function, and the results are sorted.
    """
    start = np.uint64(_mixed(_mixed(seed & _MASK) ^ (number & _MASK)))
    keys = np.arange(count, dtype=np.uint64) * np.uint64(_GOLDEN) + start
    keys ^= keys >> np.uint64(30)
    keys *= np.uint64(_MIX_1)
    keys ^= keys >> np.uint64(27)
    keys *= np.uint64(_MIX_2)
    keys ^= keys >> np.uint64(31)
    return np.argsort(keys, kind="stable").astype(np.int64)


def _mixed(value: int) -> int:
    """Return SplitMix64's function of a number."""
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ value >> 30) * _MIX_1) & _MASK
    value = ((value ^ value >> 27) * _MIX_2) & _MASK
    return value ^ value >> 31
