"""Simulated series of a metric on an unchanged system: noise, levels, trends and correlation.

Each function returns an array with one series around 1 per row.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Series = NDArray[np.float64]


def white(random: Generator, rows: int, length: int, sigma: float) -> Series:
    return 1 + sigma * random.standard_normal((rows, length))


def autoregressive(random: Generator, rows: int, length: int, sigma: float, phi: float) -> Series:
    values = random.standard_normal((rows, length))
    for step in range(1, length):
        innovation = np.sqrt(1 - phi**2) * values[:, step]
        values[:, step] = phi * values[:, step - 1] + innovation
    return 1 + sigma * values


def bimodal(random: Generator, rows: int, length: int, share_of_low: float) -> Series:
    is_low = random.random((rows, length)) < share_of_low
    return np.where(is_low, 0.4, 1.0) * white(random, rows, length, 0.02)


def capped(random: Generator, rows: int, length: int) -> Series:
    """Six of ten values at a cap, the others anywhere down to a quarter of it."""
    uncapped = random.uniform(0.25, 1, (rows, length))
    return np.where(random.random((rows, length)) < 0.6, 1.0, uncapped)


def capped_with_states(random: Generator, rows: int, length: int, mean_duration: float) -> Series:
    """As `capped`, but a value is held for `mean_duration` values on average."""
    changes = random.random((rows, length)) < 1 / mean_duration
    changes[:, 0] = True
    last_change = np.maximum.accumulate(np.where(changes, np.arange(length), 0), axis=1)
    return np.take_along_axis(capped(random, rows, length), last_change, axis=1)


def nested(random: Generator, rows: int, length: int, power: float) -> Series:
    """Values ever nearer to a cap: at every scale, the highest are a group apart."""
    return 1 - 0.9 * random.random((rows, length)) ** power


def two_levels(random: Generator, rows: int, length: int, mean_duration: float) -> Series:
    """Burst credits: two levels, each held for `mean_duration` values on average."""
    changes = random.random((rows, length)) < 1 / mean_duration
    changes[:, 0] = random.random(rows) < 0.5
    is_low = np.cumsum(changes, axis=1) % 2 == 1
    return np.where(is_low, 0.5, 1.0) * white(random, rows, length, 0.02)


def heavy_tailed(random: Generator, rows: int, length: int) -> Series:
    return np.exp(0.05 * random.standard_t(2, (rows, length)))


def exponential_below(random: Generator, rows: int, length: int) -> Series:
    """Deviations of 20 %, all below a cap."""
    return 1.2 - 0.2 * random.exponential(size=(rows, length))


def exponential_above_zero(random: Generator, rows: int, length: int, deviation: float) -> Series:
    """Deviations below a cap with the distribution of those that leave a value above zero."""
    cap = 1 + deviation
    most = 1 - float(np.exp(-cap / deviation))
    return cap + deviation * np.log1p(-most * random.random((rows, length)))


def drifting(random: Generator, rows: int, length: int) -> Series:
    """A decline by a tenth over twenty values."""
    return (1 - 0.005 * np.arange(length)) * white(random, rows, length, 0.03)


def quantised(random: Generator, rows: int, length: int) -> Series:
    return np.round(white(random, rows, length, 0.05) / 0.05) * 0.05


def with_run_effects(
    random: Generator, rows: int, runs: int, trials: int, between: float
) -> Series:
    """Trials with 2 % noise around their run's level; levels have noise of `between`."""
    levels = np.repeat(white(random, rows, runs, between), trials, axis=1)
    return levels * white(random, rows, runs * trials, 0.02)
