"""Bandwidth of another machine, calculated from costs that were measured on this one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from benchmarks.harness.goals import Case
from mlpstorage_bench.units import GIB, KIB

LABEL = "calculated, not measured"
_BITS = 8
_GIGA = 10**9
_SHAPE = "16 x 1"
"""Lanes and chunks in flight of a rank whose costs are used: those of a profile that sets none."""


class Machine(NamedTuple):
    """A machine, with storage behind its network that is never the limit."""

    cores: int
    network_gbit_s: float
    ranks: int

    @property
    def network_gib_s(self) -> float:
        """Bandwidth of its network, without what protocols take of it."""
        return self.network_gbit_s * _GIGA / _BITS / GIB


class Costs(NamedTuple):
    """CPU time and ceiling of one rank."""

    cpu_s_per_gib: float
    """CPU time of harness and kernel, for data that comes from storage."""
    ceiling_gib_s: float
    """Bandwidth that a rank reaches where storage costs nothing."""


class Reach(NamedTuple):
    """Bandwidth that a machine would reach, and its limit."""

    gib_s: float
    limited_by: str
    busy_cores: float
    """Cores that the bandwidth keeps at work."""
    least_ranks: int
    """Ranks that reach the bandwidth, if each has its ceiling."""


LARGE = Machine(cores=64, network_gbit_s=400, ranks=64)


def reach(machine: Machine, costs: Costs) -> Reach:
    """Return min(network, cores ÷ CPU time per GiB, ranks x ceiling).

    Neither the bandwidth of memory nor that of the storage is in it.
    """
    bounds = {
        "network": machine.network_gib_s,
        "cores": machine.cores / costs.cpu_s_per_gib,
        "ranks": machine.ranks * costs.ceiling_gib_s,
    }
    limit = min(bounds, key=lambda one: bounds[one])
    gib_s = bounds[limit]
    return Reach(
        gib_s, limit, gib_s * costs.cpu_s_per_gib, math.ceil(gib_s / costs.ceiling_gib_s - 1e-9)
    )


def ceiling_of(case: Case) -> float:
    """Return the ceiling of a case in GiB/s: its bandwidth or its chunks, whichever are fewer."""
    gib_s: float = case["ceiling_gib_s"]
    chunks_gib_s: float = case["ceiling_operations_per_s"] * case["chunk_kib"] * KIB / GIB
    return min(gib_s, chunks_gib_s)


def calculated(cases: Iterable[Case], machine: Machine = LARGE) -> Iterator[Case]:
    """Yield what the machine would reach by store and size of chunks, from the costs of one rank.

    Cases over null are left out: the kernel's part is not in their costs.
    """
    for case in cases:
        if case["ranks"] != 1 or case["shape"] != _SHAPE or case["store"] == "null":
            continue
        costs = Costs(case["cpu_s_per_gib"], ceiling_of(case))
        found = reach(machine, costs)
        yield {
            "store": case["store"],
            "chunk_kib": case["chunk_kib"],
            **costs._asdict(),
            "network": machine.network_gib_s,
            "of_cores": machine.cores / costs.cpu_s_per_gib,
            "of_ranks": machine.ranks * costs.ceiling_gib_s,
            **found._asdict(),
        }


def title_of(machine: Machine = LARGE) -> str:
    """Return what the rows of `calculated` are."""
    return (
        f"{machine.cores} cores, {machine.network_gbit_s:g} Gbit/s, {machine.ranks} ranks: {LABEL}"
    )
