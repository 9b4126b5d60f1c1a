"""Determinism: a profile and a seed give equal operations on any number of ranks."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.launches_mpi

NULL = [
    *("--mlps-set=storage=null", "--mlps-set=duration=20", "--mlps-set=write_limit_gb=20"),
    "--mlps-set=think_time_scale=0.5",
    "--mlps-set=max_concurrent_allocs=1",
    *("--mlps-trials=1", "--mlps-results-dir=results", "--mlps-cache-dir=cache"),
]


@pytest.mark.long
def test_trace_of_a_rank_is_equal_on_one_two_and_four_ranks(
    pytester: pytest.Pytester, run_ranks: Any
) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    for ranks in (1, 2, 4):
        run_ranks(ranks, *NULL, f"--mlps-set=trace_out=on{ranks}.csv").assert_outcomes(passed=1)
    alone = (pytester.path / "on1.workload_1.csv").read_bytes()
    assert alone.count(b"\n") > 1000
    of_two = [(pytester.path / f"on2.workload_1.rank_{n}.csv").read_bytes() for n in range(2)]
    of_four = [(pytester.path / f"on4.workload_1.rank_{n}.csv").read_bytes() for n in range(4)]
    assert of_two[0] == of_four[0] == alone
    assert of_two[1] == of_four[1]
    assert len(set(of_four)) == 4, "each rank has users of its own"
