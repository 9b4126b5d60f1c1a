"""Series of a metric that nothing changed: what noise, regimes and trends make of them.

Each function returns rows of series around 1; a row is one history.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]
Dice = np.random.Generator


def white(dice: Dice, rows: int, length: int, sigma: float) -> Series:
    return 1 + sigma * dice.standard_normal((rows, length))


def autoregressive(dice: Dice, rows: int, length: int, sigma: float, phi: float) -> Series:
    values = dice.standard_normal((rows, length))
    for place in range(1, length):
        fresh = np.sqrt(1 - phi**2) * values[:, place]
        values[:, place] = phi * values[:, place - 1] + fresh
    return 1 + sigma * values


def two_humped(dice: Dice, rows: int, length: int, share_of_low: float) -> Series:
    low = dice.random((rows, length)) < share_of_low
    return np.where(low, 0.4, 1.0) * white(dice, rows, length, 0.02)


def capped(dice: Dice, rows: int, length: int) -> Series:
    free = dice.uniform(0.25, 1, (rows, length))
    return np.where(dice.random((rows, length)) < 0.6, 1.0, free)


def switching(dice: Dice, rows: int, length: int, stay: float) -> Series:
    """Burst credits: two levels, each held for `stay` values on the average."""
    turns = dice.random((rows, length)) < 1 / stay
    turns[:, 0] = dice.random(rows) < 0.5
    is_low = np.cumsum(turns, axis=1) % 2 == 1
    return np.where(is_low, 0.5, 1.0) * white(dice, rows, length, 0.02)


def heavy_tailed(dice: Dice, rows: int, length: int) -> Series:
    return np.exp(0.05 * dice.standard_t(2, (rows, length)))


def drifting(dice: Dice, rows: int, length: int) -> Series:
    """A tenth less over twenty values."""
    return (1 - 0.005 * np.arange(length)) * white(dice, rows, length, 0.03)


def quantised(dice: Dice, rows: int, length: int) -> Series:
    return np.round(white(dice, rows, length, 0.05) / 0.05) * 0.05


def with_runs_of_their_own(dice: Dice, rows: int, runs: int, trials: int, between: float) -> Series:
    """Trials that scatter by 2 % around their run's level; levels scatter by `between`."""
    levels = np.repeat(white(dice, rows, runs, between), trials, axis=1)
    return levels * white(dice, rows, runs * trials, 0.02)
