"""Bandwidth of a larger machine: the least of that of its network, cores and ranks."""

from __future__ import annotations

import pytest

from benchmarks.harness.goals import Case
from benchmarks.harness.larger_machine import (
    LARGE,
    Costs,
    Machine,
    calculated,
    ceiling_of,
    reach,
    title_of,
)


def case(**changed: object) -> Case:
    return {
        "store": "disk",
        "ranks": 1,
        "shape": "16 x 1",
        "chunk_kib": 1024,
        "cpu_s_per_gib": 0.2,
        "ceiling_gib_s": 4.0,
        "ceiling_operations_per_s": 8192.0,
        **changed,
    }


@pytest.mark.parametrize(
    ("costs", "gib_s", "limit", "busy", "ranks"),
    [
        (Costs(0.5, 4.0), 16.0, "cores", 8.0, 4),
        (Costs(0.1, 1.0), 6.0, "ranks", 0.6, 6),
        (Costs(0.1, 10.0), 25.0, "network", 2.5, 3),
    ],
)
def test_least_bound_counts(
    costs: Costs, gib_s: float, limit: str, busy: float, ranks: int
) -> None:
    machine = Machine(cores=8, network_gbit_s=25 * 8 * 1.073741824, ranks=6)
    found = reach(machine, costs)
    assert found.gib_s == pytest.approx(gib_s)
    assert (found.limited_by, found.least_ranks) == (limit, ranks)
    assert found.busy_cores == pytest.approx(busy)


def test_network_of_400_gbit_s_is_less_than_47_gib_s() -> None:
    assert LARGE.network_gib_s == pytest.approx(46.57, abs=0.01)


def test_ceiling_of_small_chunks_is_that_of_their_number() -> None:
    assert ceiling_of(case()) == 4.0
    assert ceiling_of(case(chunk_kib=64)) == 0.5


def test_only_costs_of_one_rank_with_a_kernel_are_used() -> None:
    others = [case(ranks=2), case(shape="1 x 1"), case(store="null")]
    [row] = calculated([*others, case()])
    assert (row["store"], row["chunk_kib"], row["limited_by"]) == ("disk", 1024, "network")
    assert (row["of_cores"], row["of_ranks"]) == (pytest.approx(320), 256)


def test_title_says_that_nothing_was_measured() -> None:
    assert title_of() == "64 cores, 400 Gbit/s, 64 ranks: calculated, not measured"
