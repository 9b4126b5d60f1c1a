"""Cost of one storage operation in the harness: wall-clock and CPU time, without storage.

    pytest benchmarks/harness/test_operation_cost.py --benchmark-json FILE
    python -m benchmarks.harness.table FILE

A trial runs like the measurement of the harness's ceiling: the same requests, lanes, content,
digests, checks and records as in a real run, over a store that transfers nothing. Every request is
one operation on one entry of one block, so the figures include the complete cost of an operation
and its request. Blocks stay in the processor's cache, so content and checks are cheaper than after
a transfer. Wall-clock time is the window divided by the operations of all lanes; CPU time is the
process's.

One lane, 16 lanes and a yardstick alternate. The yardstick is fixed work in Python and hashing: if
its figures vary, the machine was busy, and the other figures vary for the same reason. To compare
two checkouts, run the study in each alternately.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
import xxhash

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.runner.calibration import run_over
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.mpi.comm import SoloComm
from mlpstorage_bench.storage.null import NullStore

KIB = 1024
BLOCKS = {"64KiB": 64 * KIB, "1MiB": 1024 * KIB}
LARGEST = max(BLOCKS.values())
LANES = {"one_lane": 1, "many_lanes": 16}
ROUNDS = 7
WINDOW_S = 0.4
YARDSTICK_STEPS = 500_000
YARDSTICK_HASHES = 200


@dataclass(frozen=True)
class Sample:
    """Time of one operation, or of one yardstick."""

    wall_us: float
    cpu_us: float


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("kind", ["read", "write"])
def test_operation_cost(benchmark: Any, kind: Literal["read", "write"], block: str) -> None:
    measures: dict[str, Callable[[], Sample]] = {
        name: partial(operation, kind, BLOCKS[block], lanes) for name, lanes in LANES.items()
    }
    measures["yardstick"] = yardstick
    samples: dict[str, list[Sample]] = {name: [] for name in measures}
    turns = list(measures)

    def turn() -> None:
        for name in turns:
            samples[name].append(measures[name]())
        turns.reverse()

    benchmark.pedantic(turn, rounds=ROUNDS, iterations=1)
    benchmark.extra_info.update(kind=kind, block=block, rounds=len(samples["yardstick"]))
    for name, taken in samples.items():
        benchmark.extra_info[f"{name}_us"] = spread(sample.wall_us for sample in taken)
        benchmark.extra_info[f"{name}_cpu_us"] = spread(sample.cpu_us for sample in taken)


def operation(kind: Literal["read", "write"], block_bytes: int, lanes: int) -> Sample:
    """Run a trial over a store that transfers nothing; return the time of one operation.

    A trial in whose window no operation ended, on a busy machine, is repeated.
    """
    workload = Workload(
        model="llama2-7b",  # 1 MiB per token in float32, for all shards together
        kv_dtype="float32",
        tensor_parallel=LARGEST // block_bytes,
        entry_scale=1e-9,  # an entry is one token
        io_chunk_kib=block_bytes // KIB,
        phase="decode" if kind == "read" else "prefill",
        decode_reads="once",
        num_users=max(LANES.values()),
        max_concurrent_allocs=lanes,
        duration=WINDOW_S,
        calibration=WINDOW_S,
    )
    # Nothing is stored in the directory, but it has to exist: the trial looks for its device.
    context = TrialContext(0, "here", Path(), "direct", 0, seed=42)
    trial = run_over(NullStore(is_queued=True), workload, context, SoloComm())
    assert trial.failure is None
    assert trial.lanes == lanes
    done = trial.operation("storage", kind)
    if not done.chunks:
        return operation(kind, block_bytes, lanes)
    assert not trial.queue_unavailable_reason, trial.queue_unavailable_reason
    assert trial.cpu_s is not None
    assert done.moved_bytes == done.chunks * block_bytes == trial.reported.total, (
        f"expected only {kind}s of {block_bytes} bytes each"
    )
    return Sample(trial.window_s / done.chunks * 1e6, trial.cpu_s / done.chunks * 1e6)


def yardstick() -> Sample:
    """Return the time of fixed work that is independent of the harness."""
    memory = b"k" * LARGEST
    wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
    total = 0
    for step in range(YARDSTICK_STEPS):
        total += step
    for _ in range(YARDSTICK_HASHES):
        xxhash.xxh3_64_intdigest(memory)
    return Sample((time.perf_counter_ns() - wall_ns) / 1e3, (time.process_time_ns() - cpu_ns) / 1e3)


def spread(values: Iterable[float]) -> tuple[float, float, float]:
    """Return minimum, median and maximum."""
    ordered = sorted(values)
    return ordered[0], statistics.median(ordered), ordered[-1]
