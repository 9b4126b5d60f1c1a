"""Arrival times of an open loop, which do not depend on earlier requests.

Gaps of mean 1 (constant, exponential or gamma) are accumulated to an expected number of arrivals,
which is then converted to time: one method for constant and for ramped rates.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

_SPAWN_KEY = (0, 0, 2)
"""Spawn key of the generator for gaps; keys of users never have three parts."""

Distribution = Literal["constant", "poisson", "gamma"]


@dataclass(frozen=True)
class Rate:
    """Requests per second, and the distribution of the gaps."""

    distribution: Distribution
    per_s: float
    end_per_s: float | None = None
    """Rate at the end of a linear ramp; None: constant rate."""
    ramp_s: float = 0.0
    """Length of the ramp; the rate is constant afterwards."""
    burstiness: float = 1.0
    """Shape of the gamma distribution of gaps; 1 is Poisson, less is burstier."""

    def moment(self, arrivals: float) -> float:
        """Return the time in seconds at which the expected number of arrivals is `arrivals`.

        Solves a t + (b - a) t² / 2T = n for t; the rate changes from a to b within T.
        """
        start, end = self.per_s, self.per_s if self.end_per_s is None else self.end_per_s
        in_ramp = (start + end) / 2 * self.ramp_s
        if arrivals > in_ramp or not self.ramp_s:
            return self.ramp_s + (arrivals - in_ramp) / end
        growth = (end - start) / self.ramp_s
        if not growth:
            return arrivals / start
        return (math.sqrt(start**2 + 2 * growth * arrivals) - start) / growth


def arrival_times(rate: Rate, seed: int) -> Iterator[float]:
    """Yield arrival times in seconds from the start, without end."""
    random = np.random.Generator(
        np.random.PCG64(np.random.SeedSequence(seed, spawn_key=_SPAWN_KEY))
    )
    for expected in itertools.accumulate(_gaps(rate, random)):
        yield rate.moment(expected)


def _gaps(rate: Rate, random: np.random.Generator) -> Iterator[float]:
    """Yield gaps with mean 1."""
    while True:
        if rate.distribution == "constant":
            yield 1.0
        elif rate.distribution == "poisson":
            yield float(random.exponential())
        else:
            yield float(random.gamma(rate.burstiness, 1 / rate.burstiness))
