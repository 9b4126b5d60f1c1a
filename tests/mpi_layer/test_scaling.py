"""Weak and strong scaling: users of each rank, or the same users over all ranks."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from tests.variants import first_of

pytestmark = pytest.mark.launches_mpi

SMALL = [
    *("--mlps-set=duration=60", "--mlps-set=requests=20", "--mlps-set=warmup=0"),
    *("--mlps-set=entry_scale=0.001", "--mlps-set=calibration=0.1"),
    *("--mlps-set=think_time_scale=0.05", "--mlps-trials=1", "--mlps-results-dir=results"),
    "--mlps-cache-dir=cache",
]


@pytest.mark.long
def test_total_users_are_divided_over_ranks(pytester: pytest.Pytester, run_ranks: Any) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    run_ranks(2, *SMALL, "--mlps-set=users_total=5").assert_outcomes(passed=1)
    (path,) = (pytester.path / "results").rglob("*_metadata.json")
    metadata = json.loads(path.read_text())
    assert len(set(metadata["mlpstorage"]["request_stream_sha256"])) == 2
    assert metadata["mlpstorage"]["parameters"]["options"]["1"]["users_total"] == 5


@pytest.mark.long
def test_fewer_users_than_ranks_is_a_usage_error(pytester: pytest.Pytester, run_ranks: Any) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = run_ranks(2, *SMALL, "--mlps-set=users_total=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*users_total: got 1; accepted: at least one user for each of 2*"])


SIMULATED = [
    *("--mlps-set=storage=null", "--mlps-set=phase=prefill", "--mlps-set=requests=40"),
    "--mlps-set=think_time_scale=0.5",
    *("--mlps-set=warmup=0", "--mlps-set=duration=3600", "--mlps-set=write_limit_gb=100000"),
    *("--mlps-set=trace_out=trace.csv", "--mlps-trials=1", "--mlps-results-dir=results"),
    *("--mlps-set=workloads.1.num_users=3", "--mlps-set=workloads.2.users_total=6"),
    "--mlps-cache-dir=cache",
]
"""Workload 1 has users of each rank, workload 2 a total of users; a trace shows what ran."""


def written_entries(trace: Path) -> set[tuple[str, int]]:
    with trace.open(newline="") as file:
        return {
            (row["Key"], int(row["Object_Size_Bytes"]))
            for row in csv.DictReader(file)
            if row["Operation"] == "Write"
        }


def requested_entries(part: RankWorkload) -> set[tuple[str, int]]:
    return {
        (request.key, part.workload.entry_bytes(request.context_tokens))
        for stream in part.request_source().streams()
        for request in stream.requests
    }


@pytest.mark.parametrize("ranks", first_of(2, 1, 4))
def test_request_hash_in_the_metadata_is_that_of_what_each_rank_ran(
    pytester: pytest.Pytester, run_ranks: Any, ranks: int
) -> None:
    pytester.makepyfile(
        """
        def test_users_of_each_rank(kvcache): kvcache.run(1)
        def test_users_in_total(kvcache): kvcache.run(2)
        """
    )
    run_ranks(ranks, *SIMULATED).assert_outcomes(passed=2)
    (path,) = (pytester.path / "results").rglob("*_metadata.json")
    metadata = json.loads(path.read_text())
    parameters = metadata["mlpstorage"]["parameters"]
    seed, options = parameters["seed"], parameters["options"]
    hashes = []
    for rank in range(ranks):
        digest = hashlib.sha256()
        for name, parameters in sorted(options.items()):
            workload = Workload.model_validate(parameters)
            part = RankWorkload.for_rank(workload, seed, rank, ranks)
            digest.update(f"{name} {part.request_source().sha256()}\n".encode())
            if name in ("1", "2"):
                of_rank = f".rank_{rank}" if ranks > 1 else ""
                trace = pytester.path / f"trace.workload_{name}{of_rank}.csv"
                assert written_entries(trace) == requested_entries(part)
        hashes.append(digest.hexdigest())
    assert metadata["mlpstorage"]["request_stream_sha256"] == hashes
    parts = metadata["mlpstorage"]["cases"]["2"]["workload_fingerprint_parts"]
    first = RankWorkload.for_rank(Workload.model_validate(options["2"]), seed, 0, ranks)
    assert parts["request_stream_sha256"] == first.request_source().sha256()
