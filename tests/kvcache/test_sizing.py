"""Computed sizes of a workload, compared with those of a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpstorage_bench.benchmark_type.plan import HostCapacity
from mlpstorage_bench.benchmark_type.sizes import KnownCaseSize
from mlpstorage_bench.kvcache import request_tally, sizing
from mlpstorage_bench.kvcache.config.profile_file import load_profile
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.datasize import datasize
from mlpstorage_bench.kvcache.request_tally import EDGE_S, ENOUGH_REQUESTS
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.kvcache.sizing import size_of_rank, users_that_fit
from mlpstorage_bench.kvcache.workload.requests import user_streams
from mlpstorage_bench.mpi.comm import SoloComm
from mlpstorage_bench.report.size_table import size_lines
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.units import GIB, MIB

FREE = 1 << 40


def workload(**changes: object) -> Workload:
    values = {
        "model": "tiny-1b",
        "num_users": 6,
        "duration": 0.3,
        "max_concurrent_allocs": 4,
        "entry_scale": 0.01,
        "think_time_scale": 0.05,
        "io_chunk_kib": 64,
        **changes,
    }
    return Workload.model_validate(values)


def test_limit_equals_the_writes_with_storage_that_takes_no_time() -> None:
    asked = workload(model="llama3.1-8b", duration=10.0, entry_scale=1.0, think_time_scale=1.0)
    expected = 0
    for stream in user_streams(6, seed=42):
        now = stream.start_s
        for request in stream.requests:
            if now >= 10.0 + EDGE_S:
                break
            expected += request.context_tokens * 131_072
            now += request.think_s
    size = size_of_rank(RankWorkload(asked, 42), FREE)
    assert size.written == size.storage == expected
    assert not size.evicts


@pytest.mark.slow
def test_generation_and_warm_up_count() -> None:
    plain = size_of_rank(RankWorkload(workload(duration=5.0), 42), 16 * GIB)
    slow = size_of_rank(
        RankWorkload(workload(duration=5.0, generation_mode="realistic"), 42), 16 * GIB
    )
    longer = size_of_rank(RankWorkload(workload(duration=5.0, warmup=5.0), 42), 16 * GIB)
    assert plain.written is not None
    assert slow.written is not None
    assert longer.written is not None
    assert slow.written < plain.written < longer.written


def test_workload_without_time_is_limited_only_by_capacity() -> None:
    asked = workload(think_time_scale=0.0, storage_capacity_gb=2.0)
    size = size_of_rank(RankWorkload(asked, 42), FREE)
    assert (size.written, size.storage, size.evicts) == (None, 2 * GIB, True)
    assert users_that_fit([RankWorkload(asked, 42)], FREE) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"think_time_scale": 1e-6},
        {"arrivals": "constant", "rate": 10_000.0, "duration": 86_400.0},
        {"num_users": 100, "duration": 86_400.0},
    ],
)
def test_more_requests_than_are_examined_are_limited_only_by_capacity(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    monkeypatch.setattr(request_tally, "MOST_REQUESTS", 500)
    monkeypatch.setattr(request_tally, "MOST_TURNS", 500)
    asked = RankWorkload(workload(storage_capacity_gb=2.0, **changes), 42)
    size = size_of_rank(asked, FREE)
    assert (size.written, size.storage, size.evicts) == (None, 2 * GIB, True)
    assert size.examined_requests == 500
    users_that_fit([asked], FREE)


@pytest.mark.slow
def test_sizes_of_many_ranks_are_taken_from_some_of_them() -> None:
    profile = load_profile("quick", [("num_users", "2"), ("requests", "9")])
    few, many = (
        datasize(profile, "/x", [2] * hosts, HostCapacity(FREE * hosts, FREE, hosts))
        for hosts in (16, 10_000)
    )
    assert few.fits
    for one, other in zip(few.cases, many.cases, strict=True):
        assert isinstance(one, KnownCaseSize)
        assert isinstance(other, KnownCaseSize)
        assert one.examined_ranks == 32
        assert other.examined_ranks <= 32
        assert other.storage_bytes > 500 * one.storage_bytes
        assert other.storage_bytes_per_host <= 2 * other.storage_bytes_per_rank
    assert not [line for line in size_lines(few, 120) if "computed for" in line]
    assert [line for line in size_lines(many, 120) if "of 20000 ranks" in line]


def test_size_of_decoding_is_exact() -> None:
    size = size_of_rank(RankWorkload(workload(phase="decode", entry_scale=1.0), 42), FREE)
    assert size.written == size.storage == 6 * 10 * 2048 * 24_576
    assert size.largest_entry == 2048 * 24_576


def test_partly_used_slots_count_in_full() -> None:
    entry = size_of_rank(RankWorkload(workload(), 42), FREE)
    slab = size_of_rank(RankWorkload(workload(layout="slab", tokens_per_block=1000), 42), FREE)
    assert entry.written is not None
    assert slab.written is not None
    assert slab.written % (1000 * 24_576) == 0
    assert slab.written > entry.written


@pytest.mark.slow
def test_capacity_write_limit_and_free_space_limit_the_size() -> None:
    asked = workload(duration=60.0)
    assert size_of_rank(RankWorkload(asked, 42), 10 * MIB).storage == 8 * MIB
    capped = size_of_rank(RankWorkload(workload(duration=60.0, storage_capacity_gb=0.5), 42), FREE)
    assert (capped.storage, capped.evicts) == (GIB // 2, True)
    assert (
        size_of_rank(RankWorkload(workload(duration=60.0, write_limit_gb=0.25), 42), FREE).written
        == GIB // 4
    )


def test_users_that_fit_keep_all_their_entries() -> None:
    asked = workload(duration=5.0, storage_capacity_gb=0.5)
    fit = users_that_fit([RankWorkload(asked, 42)], FREE)
    assert fit is not None
    at_most = size_of_rank(RankWorkload(asked.model_copy(update={"num_users": fit}), 42), FREE)
    one_more = size_of_rank(RankWorkload(asked.model_copy(update={"num_users": fit + 1}), 42), FREE)
    assert (at_most.evicts, one_more.evicts) == (False, True)


@pytest.mark.slow
def test_users_that_fit_each_rank_are_searched_in_a_number_of_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = workload(duration=5.0, storage_capacity_gb=0.5)
    parts = [RankWorkload.for_rank(asked, 42, rank, 8) for rank in range(8)]
    each = [users_that_fit([part], FREE) for part in parts]
    assert users_that_fit(parts, FREE) == min(n for n in each if n is not None)
    monkeypatch.setattr(sizing, "MOST_REQUESTS_OF_USERS", 1)
    left = iter(parts)
    assert users_that_fit(left, FREE) == each[0]
    assert [*left] == parts[1:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "free", "problem"),
    [
        (
            {"storage_capacity_gb": 1.0, "duration": 60.0},
            100 * MIB,
            r"storage: up to 1\.00 GiB, but 0\.10 are free\. Lower storage_capacity_gb, num_users",
        ),
        (
            {"entry_scale": 1.0, "model": "llama3.1-8b"},
            GIB,
            r"an entry of .* does not fit a capacity of 0\.80\. Use a filesystem with more than 1",
        ),
        (
            {"entry_scale": 1.0, "model": "llama3.1-8b", "storage_capacity_gb": 0.5},
            100 * GIB,
            r"an entry of .* of 0\.50\. Raise storage_capacity_gb to \d\.\d\d or more",
        ),
    ],
)
def test_size_that_does_not_fit_has_a_problem(
    changes: dict[str, object], free: int, problem: str
) -> None:
    size = size_of_rank(RankWorkload(workload(**changes), 42), free)
    (said,) = size.problems(free, size.memory)
    assert re.match(problem, said)
    assert size.problems(free, 0)[-1].startswith("memory: up to")


def test_advised_capacity_is_enough_for_the_largest_entry() -> None:
    asked = workload(entry_scale=1.0, model="llama3.1-8b", storage_capacity_gb=0.5)
    (said,) = size_of_rank(RankWorkload(asked, 42), FREE).problems(FREE, FREE)
    advised = re.search(r"Raise storage_capacity_gb to (\d+\.\d\d)", said)
    assert advised is not None
    enough = asked.model_copy(update={"storage_capacity_gb": float(advised[1])})
    assert size_of_rank(RankWorkload(enough, 42), FREE).problems(FREE, FREE) == []


@pytest.mark.slow
def test_two_thousand_users_are_sized_from_some_of_their_requests() -> None:
    asked = load_profile("mlperf", [("num_users", "2000")]).workloads["1"]
    size = size_of_rank(RankWorkload(asked, 42), 100 * GIB, until_full=True)
    assert 2000 <= size.examined_requests <= ENOUGH_REQUESTS + 2000
    assert size.storage == size.storage_capacity
    largest = max(stream.user.context_tokens for stream in user_streams(2000, seed=42))
    assert 0.9 * largest * 131_072 < size.largest_entry <= largest * 131_072


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**32),
    users=st.integers(1, 40),
    capacity_mib=st.sampled_from([1, 24, 512]),
    changes=st.sampled_from(
        [
            {"cpu_mem_gb": 0.05},
            {"keyed_by": "prefix"},
            {"layout": "slab"},
            {"arrivals": "poisson", "rate": 400.0},
        ]
    ),
)
@settings(max_examples=25, deadline=None)
def test_storage_needed_is_the_same_from_some_requests_and_from_all(
    seed: int, users: int, capacity_mib: int, changes: dict[str, object]
) -> None:
    asked = workload(num_users=users, storage_capacity_gb=capacity_mib / 1024, **changes)
    part = RankWorkload(asked, seed)
    some, all_of_them = (size_of_rank(part, FREE, until_full=full) for full in (True, False))
    assert (some.storage, some.evicts) == (all_of_them.storage, all_of_them.evicts)
    assert some.largest_entry <= all_of_them.largest_entry
    if asked.keyed_by == "turn":
        assert some.memory == all_of_them.memory


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"keyed_by": "prefix"}, {"write_limit_gb": 0.01}])
def test_nothing_is_evicted_with_the_capacity_that_keeps_all(changes: dict[str, object]) -> None:
    asked = workload(duration=20.0, storage_capacity_gb=0.05, **changes)
    keeps_all = size_of_rank(RankWorkload(asked, 42), FREE).keeps_all
    assert keeps_all is not None
    kept, less = (
        asked.model_copy(update={"storage_capacity_gb": share * keeps_all / GIB})
        for share in (1.0001, 0.99)
    )
    assert not size_of_rank(RankWorkload(kept, 42), FREE).evicts
    assert size_of_rank(RankWorkload(less, 42), FREE).evicts


def test_capacity_that_keeps_all_has_no_limit_where_entries_have_none() -> None:
    endless = workload(think_time_scale=0.0)
    filled = workload(precondition="steady")
    for asked in (endless, filled):
        assert size_of_rank(RankWorkload(asked, 42), FREE).keeps_all is None
    assert size_of_rank(RankWorkload(filled, 42), FREE).written < 3 * FREE  # type: ignore[operator]  # a number


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**32),
    users=st.integers(1, 8),
    layout=st.sampled_from(["entry", "block", "slab"]),
    cpu_mem_gb=st.sampled_from([0.0, 0.01]),
    capacity_mib=st.sampled_from([24, 512]),
)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_run_never_uses_more_than_its_computed_size(
    tmp_path: Path, seed: int, users: int, layout: str, cpu_mem_gb: float, capacity_mib: int
) -> None:
    asked = workload(
        num_users=users,
        layout=layout,
        cpu_mem_gb=cpu_mem_gb,
        tokens_per_block=40,
        storage_capacity_gb=capacity_mib / 1024,
        duration=0.2,
    )
    size = size_of_rank(RankWorkload(asked, seed), FREE)
    mode = "direct" if probe_direct_io(tmp_path).is_available else "buffered"
    here = TrialContext(0, "here", tmp_path, mode, size.storage_capacity, seed)  # type: ignore[arg-type]  # a literal
    result = run_trial(asked, here, SoloComm())
    assert result.storage.peak_bytes <= size.storage
    assert result.storage.written_bytes <= (size.written or FREE)
