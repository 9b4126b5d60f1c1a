"""Trials without storage in simulated time: byte-identical results in every process."""

from __future__ import annotations

import csv
import dataclasses
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import EmptyWindowError, InvalidInputError, NotMeasuredError
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.notes import WITHOUT_TIME, notes_on
from mlpstorage_bench.kvcache.results.pooling import pool_case, pool_samples, pool_trial
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.results.reference_rank import rank_result
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.results.trial_result import TrialResult
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.kvcache.trace_files import trace_path
from mlpstorage_bench.kvcache.workload.accesses import accesses, prepared
from mlpstorage_bench.kvcache.workload.blocks import Block, Purpose, ReadOrWrite
from mlpstorage_bench.kvcache.workload.request_source import RequestSource
from mlpstorage_bench.kvcache.workload.sharing import SharedContent
from mlpstorage_bench.mpi.comm import SoloComm

pytestmark = pytest.mark.slow

CAPACITY = 1 << 50


def workload(**changes: object) -> Workload:
    values = {"model": "llama3.1-8b", "num_users": 20, "duration": 30.0, "storage": "null"}
    return Workload.model_validate({**values, **changes})


def simulated(
    folder: Path, trace: Path | None = None, capacity: int = CAPACITY, **changes: Any
) -> RankTrial:
    here = TrialContext(0, "here", folder, "direct", capacity, seed=42)
    return run_trial(workload(**changes), here, SoloComm(), trace=trace)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_simulation_writes_nothing_and_takes_no_time(tmp_path: Path) -> None:
    result = simulated(tmp_path, duration=60.0)
    assert (result.window_s, result.closed_by, result.is_simulated) == (60.0, "duration", True)
    assert result.operation("storage", "write").moved_bytes > 1 << 37
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_trace_is_the_same_byte_for_byte_also_in_a_new_process(tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    simulated(tmp_path, one)
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from tests.kvcache.runner.test_simulation import simulated\n"
        "simulated(Path(sys.argv[2]), Path(sys.argv[3]))"
    )
    root = str(Path(__file__).parents[3])
    subprocess.run(
        [sys.executable, "-c", program, root, str(tmp_path), str(other)], check=True, timeout=120
    )
    assert one.read_bytes() == other.read_bytes()
    assert len(rows(one)) > 1000


def test_trace_has_the_reference_s_columns_and_every_operation(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    result = simulated(tmp_path, trace, cpu_mem_gb=8.0)
    found = rows(trace)
    assert trace.read_text().startswith("Timestamp,Operation,Object_Size_Bytes,Tier,Key,Phase\n")
    for tier in ("cpu", "storage"):
        for kind in ("read", "write"):
            of_kind = [r for r in found if (r["Tier"], r["Operation"]) == (tier, kind.capitalize())]
            moved = sum(int(row["Object_Size_Bytes"]) for row in of_kind)
            operation = result.operation(tier, "read" if kind == "read" else "write")
            assert moved == operation.total_bytes
    assert {row["Phase"] for row in found} == {"Prefill", "Decode", "Evict"}


@pytest.mark.parametrize("keyed_by", ["turn", "prefix"])
@pytest.mark.parametrize("suffix", [pytest.param(".csv", marks=pytest.mark.long), ".csv.zst"])
def test_replayed_trace_reproduces_itself(tmp_path: Path, suffix: str, keyed_by: str) -> None:
    recorded, again = tmp_path / f"recorded{suffix}", tmp_path / "again.csv"
    plain = tmp_path / "plain.csv"
    asked = {"keyed_by": keyed_by, "system_prompt_share": 0.5, "rag_share": 0.2, "duration": 4.0}
    asked |= {"decode_reads": "once"}
    simulated(tmp_path, recorded, capacity=1 << 36, **asked)
    simulated(tmp_path, plain, capacity=1 << 36, **asked)
    simulated(tmp_path, again, capacity=1 << 36, trace_in=str(recorded), duration=5.0)

    def operations(path: Path) -> list[tuple[str, ...]]:
        return [tuple(v for k, v in row.items() if k != "Timestamp") for row in rows(path)]

    mine, theirs = operations(plain), operations(again)
    assert len(mine) > 100
    assert mine == theirs


def test_number_of_requests_is_exact(tmp_path: Path) -> None:
    result = simulated(tmp_path, requests=503, duration=1000.0)
    assert (result.closed_by, result.requests.requests) == ("number of requests", 503)
    assert result.window_s < 1000


def test_number_of_bytes_closes_the_window(tmp_path: Path) -> None:
    result = simulated(tmp_path, stop_after_gb=20.0, duration=1000.0)
    assert result.closed_by == "number of bytes"
    assert 20 << 30 <= result.reported.total < 60 << 30


@pytest.mark.parametrize("arrivals", ["constant", "poisson", "gamma"])
def test_requests_at_a_rate_are_served_at_arrival(tmp_path: Path, arrivals: str) -> None:
    result = simulated(tmp_path, arrivals=arrivals, rate=50.0, duration=40.0, num_users=200)
    assert result.arrived == pytest.approx(2000, rel=0.06)
    assert result.requests.requests == pytest.approx(result.arrived, abs=1)
    assert result.unserved == 0
    assert result.lateness is not None
    assert result.lateness.max_ns == 0, "nothing takes time, so nothing is late"


def test_generation_delays_the_next_turn_which_counts_as_lateness(tmp_path: Path) -> None:
    result = simulated(
        tmp_path, arrivals="constant", rate=10.0, num_users=1, generation_mode="realistic"
    )
    assert result.unserved > 200
    assert result.lateness is not None
    assert result.lateness.max_ns > 20e9


def test_hits_without_eviction_equal_those_of_the_requests(tmp_path: Path) -> None:
    result = simulated(tmp_path, requests=400, duration=10_000.0, decode_reads="none")
    streams = RequestSource(20, 42, limit=400).streams()
    turns = sum(request.turn for stream in streams for request in stream.requests)
    assert result.requests.found == {"conversation": turns}
    assert result.requests.misses == 0


def test_blocks_that_requests_share_are_written_once(tmp_path: Path) -> None:
    result = simulated(
        tmp_path,
        requests=400,
        duration=10_000.0,
        keyed_by="prefix",
        system_prompt_share=1.0,
        rag_share=0.5,
        decode_reads="none",
    )
    lookups: Counter[Purpose] = Counter()
    distinct: set[Block] = set()
    asked = workload(keyed_by="prefix", system_prompt_share=1.0, rag_share=0.5, decode_reads="none")
    source = dataclasses.replace(RankWorkload(asked, 42).request_source(), limit=400)
    for request in (r for stream in source.streams() for r in stream.requests):
        for access in accesses(request, asked.rules):
            assert isinstance(access, ReadOrWrite)
            lookups.update(block.purpose for block in access.blocks)
            distinct.update(access.blocks)
    written: Counter[Purpose] = Counter(b.purpose for b in distinct)
    del written["document"]
    assert result.requests.missed == written, "documents were there before"
    assert result.requests.found == lookups - written
    documents = prepared([], SharedContent(source.sharing, 42), asked.rules)
    assert result.storage.entries == written.total() + len(list(documents))


def test_workload_without_time_or_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="would never end"):
        simulated(tmp_path, think_time_scale=0.0)
    assert simulated(tmp_path, think_time_scale=0.0, requests=10).requests.requests == 10


def pooled(result: RankTrial) -> TrialResult:
    """Return a trial's metrics, after its result was made for the reference's readers."""
    rank_result(workload(), 1, result)
    return pool_trial(1, [result])


def rates(trial: TrialResult) -> list[float | None]:
    return [
        trial.requests_per_s,
        trial.generated_tokens_per_s,
        trial.read_gib_s,
        trial.write_gib_s,
        trial.busy_share,
    ]


def test_trial_in_which_no_time_passes_has_amounts_and_no_rates(tmp_path: Path) -> None:
    result = simulated(tmp_path, think_time_scale=0.0, requests=10)
    assert (result.window_s, result.closed_by) == (0.0, "number of requests")
    trial = pooled(result)
    assert rates(trial) == [None] * 5
    assert trial.requests == 10
    assert min(trial.read_bytes, trial.write_bytes) > 0
    assert trial.round_s == 0
    assert WITHOUT_TIME in notes_on([trial])


def test_case_of_trials_without_time_has_no_rates_and_says_so(tmp_path: Path) -> None:
    ranks = [simulated(tmp_path, think_time_scale=0.0, requests=10) for _ in range(2)]
    case = pool_case(
        "1", [pool_trial(1, [rank]) for rank in ranks], pool_samples(PooledHistograms.of(ranks))
    )
    assert case.values["read_gib_s"] is None
    assert case.values["read_gib_s_min"] is None
    assert case.write_bytes == 2 * case.trials[0].write_bytes
    with pytest.raises(NotMeasuredError, match="read_gib_s of workload 1: no time passed"):
        _ = case.read_gib_s


@pytest.mark.parametrize(
    ("changes", "closed_by"),
    [
        ({"write_limit_gb": 4.0}, "write limit"),
        ({"stop_after_gb": 4.0}, "number of bytes"),
        ({"requests": 30}, "number of requests"),
    ],
)
def test_warm_up_in_which_no_time_would_pass_is_left_out(
    tmp_path: Path, changes: dict[str, Any], closed_by: str
) -> None:
    result = simulated(tmp_path, think_time_scale=0.0, warmup=0.3, **changes)
    assert (result.window_s, result.closed_by) == (0.0, closed_by)
    assert result.reported.write_bytes > 0


def test_limit_that_is_reached_during_the_warm_up_leaves_an_empty_window(tmp_path: Path) -> None:
    result = simulated(tmp_path, warmup=5.0, write_limit_gb=4.0)
    assert (result.window_s, result.closed_by) == (0.0, "write limit")
    with pytest.raises(EmptyWindowError, match="Raise write_limit_gb, or lower warmup"):
        pooled(result)


def test_requests_that_end_before_the_window_leave_it_empty(tmp_path: Path) -> None:
    result = simulated(tmp_path, warmup=100.0, requests=20)
    assert result.window_s == 0
    with pytest.raises(EmptyWindowError, match="answered before it opened: lower warmup"):
        pooled(result)


def test_requests_without_a_whole_block_leave_the_window_empty(tmp_path: Path) -> None:
    result = simulated(tmp_path, keyed_by="prefix", tokens_per_block=1 << 20, requests=3)
    with pytest.raises(EmptyWindowError, match=r"moved nothing\. With keyed_by prefix, lower tok"):
        pooled(result)


@pytest.mark.parametrize("name", ["mooncake_all_at_once.jsonl", "mooncake_conversation_head.jsonl"])
def test_requests_of_a_real_trace_that_share_a_moment_have_amounts_and_no_rates(
    tmp_path: Path, name: str
) -> None:
    trace = next(
        (p for root in Path(__file__).parents for p in (root / "shared/inputs").glob(name)), None
    )
    if trace is None:
        pytest.skip("needs recorded traces")
    trial = pooled(simulated(tmp_path, trace_in=str(trace), requests=3))
    assert trial.window_s == 0
    assert rates(trial) == [None] * 5
    assert trial.requests == 3


def test_requests_at_one_moment_have_amounts_and_no_rates(tmp_path: Path) -> None:
    trace = tmp_path / "at_once.jsonl"
    line = '{"timestamp": 0, "input_length": 1024, "output_length": 5, "hash_ids": [%d, 9]}\n'
    trace.write_text("".join(line % number for number in range(4)))
    trial = pooled(simulated(tmp_path, trace_in=str(trace)))
    assert (trial.window_s, trial.requests) == (0.0, 4)
    assert rates(trial) == [None] * 5


@pytest.mark.parametrize(
    ("name", "parts", "expected"),
    [
        ("t.csv.zst", {}, "t.csv.zst"),
        ("t.csv.zst", {"workload": "1", "rank": "0"}, "t.workload_1.rank_0.csv.zst"),
        ("trace", {"trial": "2"}, "trace.trial_2"),
    ],
)
def test_traces_of_ranks_and_trials_have_separate_files(
    name: str, parts: dict[str, str], expected: str
) -> None:
    assert trace_path(Path("/x") / name, parts) == Path("/x") / expected


def damaged(path: Path) -> None:
    path.write_bytes(b"no zstd at all" + bytes(100))


def missing(path: Path) -> None:
    path.unlink(missing_ok=True)


def binary(path: Path) -> None:
    path.write_bytes(zlib.compress(b"x" * 1000))


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("t.csv.zst", damaged, "trace of operations.*Its first line is 'no zstd"),
        ("t.csv", missing, "trace of operations.*No such file"),
        ("t.csv", binary, "trace that can be read|trace of operations"),
    ],
)
def test_unreadable_trace_is_an_input_error(
    tmp_path: Path, name: str, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(tmp_path / name)
    with pytest.raises(InvalidInputError, match=rf"trace_in: got.*{said}"):
        simulated(tmp_path, trace_in=str(tmp_path / name))


def test_unwritable_trace_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"trace_out: got.*can be written"):
        simulated(tmp_path, tmp_path / "nowhere" / "trace.csv")
