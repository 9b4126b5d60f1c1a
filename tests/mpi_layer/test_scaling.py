"""Weak and strong scaling: users of each rank, or the same users over all ranks."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.launches_mpi

SMALL = [
    *("--mlps-set=duration=0.4", "--mlps-set=entry_scale=0.001", "--mlps-set=calibration=0.1"),
    *("--mlps-set=think_time_scale=0.05", "--mlps-trials=1", "--mlps-results-dir=results"),
    "--mlps-cache-dir=cache",
]


def test_a_total_of_users_is_divided_over_the_ranks(
    pytester: pytest.Pytester, run_ranks: Any
) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    run_ranks(2, *SMALL, "--mlps-set=users_total=5").assert_outcomes(passed=1)
    (path,) = (pytester.path / "results").rglob("*_metadata.json")
    metadata = json.loads(path.read_text())
    assert len(set(metadata["request_stream_sha256"])) == 2
    assert metadata["parameters"]["options"]["1"]["users_total"] == 5


def test_a_rank_without_a_user_is_a_usage_error(pytester: pytest.Pytester, run_ranks: Any) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = run_ranks(2, *SMALL, "--mlps-set=users_total=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*users_total: got 1; accepted: at least one user for each of 2*"])
