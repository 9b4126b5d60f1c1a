"""Workloads other than closed-loop users, on real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import CapacityError
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.kvcache.workload.accesses import accesses
from mlpstorage_bench.kvcache.workload.blocks import ReadOrWrite
from mlpstorage_bench.mpi.ranks import Notice
from mlpstorage_bench.units import MIB
from tests.trials import SoloRanks, context, served, trial, workload

pytestmark = pytest.mark.slow

PREFIX: dict[str, Any] = {"keyed_by": "prefix", "tokens_per_block": 64, "decode_reads": "none"}


def test_shared_blocks_are_written_once_and_read_by_many(tmp_path: Path) -> None:
    wanted = workload(**PREFIX, system_prompt_share=1.0, requests=40, duration=60.0, num_users=12)
    result = run_trial(wanted, context(tmp_path, 1024 * MIB), SoloRanks())
    requests = result.requests
    assert (result.closed_by, requests.corrupt_reads) == ("number of requests", 0)
    assert (result.storage.entries, result.storage.evicted_bytes) == (len(asked_of(wanted)), 0)
    assert requests.found["system prompt"] > requests.missed["system prompt"]
    assert list(tmp_path.iterdir()) == []


def asked_of(wanted: Workload) -> set[str]:
    """Return the distinct keys of all blocks of a workload's requests."""
    return {
        block.key
        for stream in RankWorkload(wanted, seed=42).request_source().streams()
        for request in stream.requests
        for access in accesses(request, wanted.rules)
        if isinstance(access, ReadOrWrite)
        for block in access.blocks
    }


@pytest.mark.long
def test_shared_blocks_are_evicted_and_written_again(tmp_path: Path) -> None:
    result = served(tmp_path, capacity=12 * MIB, requests=25, **PREFIX, system_prompt_share=1.0)
    assert result.storage.evicted_bytes > 0
    assert result.storage.peak_bytes <= 12 * MIB
    assert result.requests.requests > 0


@pytest.mark.long
@pytest.mark.parametrize("keyed_by", ["turn", "prefix"])
@pytest.mark.parametrize("layout", ["entry", "block", "slab"])
def test_documents_are_written_before_the_window_and_retrieved(
    tmp_path: Path, keyed_by: str, layout: str
) -> None:
    result = trial(
        tmp_path,
        capacity=1024 * MIB,
        rag_share=1.0,
        keyed_by=keyed_by,
        layout=layout,
        tokens_per_block=64,
        requests=16,
        duration=60.0,
    )
    assert result.requests.found["document"] > 0
    assert result.requests.missed["document"] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_prefill_of_prefixes_writes_new_blocks_and_reads_none(tmp_path: Path) -> None:
    result = served(tmp_path, requests=40, keyed_by="prefix", tokens_per_block=64, phase="prefill")
    assert result.operation("storage", "write").moved_bytes > 0
    assert result.operation("storage", "read").moved_bytes == 0
    assert result.requests.found["conversation"] > 0


@pytest.mark.parametrize("arrivals", ["constant", "poisson", "gamma"])
def test_requests_arrive_at_a_rate(tmp_path: Path, arrivals: str) -> None:
    result = trial(tmp_path, arrivals=arrivals, rate=100.0, duration=1.0, num_users=64)
    assert result.arrived == pytest.approx(100, abs=40)
    assert result.lateness is not None
    assert result.requests.requests + result.unserved <= result.arrived + 64


def test_requests_faster_than_the_storage_are_reported_as_late(tmp_path: Path) -> None:
    result = trial(
        tmp_path, arrivals="constant", rate=10_000.0, num_users=4, max_concurrent_allocs=1
    )
    assert result.arrived == pytest.approx(10_000 * 0.4, abs=1), "storage slows no arrivals"
    assert result.unserved > 0.5 * result.arrived
    assert result.lateness is not None
    assert result.lateness.count > result.unserved
    assert result.lateness.max_ns > 0.3e9


def test_moved_bytes_close_the_window_of_all_ranks(tmp_path: Path) -> None:
    ranks = SoloRanks()
    result = run_trial(workload(duration=60.0, stop_after_gb=4 / 1024), context(tmp_path), ranks)
    assert (result.closed_by, ranks.announced) == ("number of bytes", [Notice.CLOSING])
    assert result.reported.total >= 4 * MIB


def test_preconditioning_writes_until_steady_or_its_limit_and_reports_it(tmp_path: Path) -> None:
    result = trial(
        tmp_path,
        capacity=32 * MIB,
        precondition="steady",
        steady_window=0.2,
        steady_slope_pct=0.001,
    )
    seen = result.preconditioning
    assert seen is not None
    assert seen.written_bytes >= 64 * MIB, "twice the capacity, as it is never that steady"
    limited = trial(
        tmp_path,
        precondition="steady",
        precondition_gb=50.0,
        steady_window=0.2,
        steady_slope_pct=1e6,
        steady_deviation_pct=1e6,
        capacity=32 * MIB,
    ).preconditioning
    assert limited is not None
    assert limited.steadiness is not None
    assert limited.steadiness.is_steady
    assert len(limited.steadiness.rates) == 10
    assert limited.written_bytes < 50 << 30


def test_preconditioning_beyond_the_write_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CapacityError, match="Writes before the window exceed write_limit_gb"):
        trial(tmp_path, precondition="steady", write_limit_gb=1 / 1024)


def test_warm_up_ends_when_bandwidth_is_steady(tmp_path: Path) -> None:
    result = trial(
        tmp_path,
        warmup=60.0,
        warmup_until="steady",
        steady_window=0.3,
        steady_slope_pct=1e6,
        steady_deviation_pct=1e6,
    )
    assert result.warm_up is not None
    assert result.warm_up.is_steady


def test_window_reports_whether_it_was_steady(tmp_path: Path) -> None:
    wide: dict[str, Any] = {
        "steady_window": 0.3,
        "steady_slope_pct": 1e6,
        "steady_deviation_pct": 1e6,
    }
    steady = trial(tmp_path, **wide).steadiness
    assert steady is not None
    assert steady.is_steady
    narrow = {**wide, "steady_slope_pct": 1e-6, "steady_deviation_pct": 1e-6}
    unsteady = trial(tmp_path, **narrow).steadiness
    assert unsteady is not None
    assert not unsteady.is_steady
    assert trial(tmp_path).steadiness is None, "0.4 s are too short to tell"


def test_trace_is_recorded_and_replayed_on_storage(tmp_path: Path) -> None:
    trace, cache = tmp_path / "trace.csv", tmp_path / "cache"
    cache.mkdir()
    recorded = run_trial(
        workload(requests=60, duration=60.0), context(cache), SoloRanks(), trace=trace
    )
    replayed = trial(cache, trace_in=str(trace), duration=60.0)
    assert replayed.closed_by == "number of requests"
    assert replayed.requests.misses == 0
    for kind in ("read", "write"):
        mine, theirs = (t.operation("storage", kind) for t in (recorded, replayed))
        assert mine.total_bytes == theirs.total_bytes > 0
    assert list(cache.iterdir()) == []
