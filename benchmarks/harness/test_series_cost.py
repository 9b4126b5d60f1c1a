"""Cost of the series over time: CPU time per operation, memory, and merging of 4096 ranks.

    pytest benchmarks/harness/test_series_cost.py --benchmark-json FILE
    python -m benchmarks.harness.table FILE

Trials over the null store, as in `test_operation_cost.py`, with and without the series alternate.
Their ratio is as exact as the machine is quiet. The recorder's own CPU time is more exact: it is
given for one reading, as a share of the process's CPU time in the same trial, and as a share of one
core, which the load without storage keeps busy where nothing else runs. The last one has a limit of
half a per cent: where other programs take the cores, the process has less CPU time, while the
number of readings stays.

Merging is simulated in one process: each rank has a window of 300 s with latencies around 10 ms.
"""

from __future__ import annotations

import json
import pickle
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.runner.calibration import run_over
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.measure.clock_offset import ClockOffset, CommonTime
from mlpstorage_bench.measure.coarse_histogram import BUCKETS, coarse_bucket_of
from mlpstorage_bench.measure.series_slots import SLOTS, Ring, SlotSeries
from mlpstorage_bench.measure.steadiness import Criterion
from mlpstorage_bench.mpi.comm import SoloComm
from mlpstorage_bench.progress.live_region import LiveRegion
from mlpstorage_bench.progress.state import Progress, Viewer
from mlpstorage_bench.progress.text import region
from mlpstorage_bench.storage.null import NullStore
from mlpstorage_bench.trial.series_recorder import SeriesReading, SeriesRecorder
from mlpstorage_bench.trial.watch import TrialPlace, TrialWatch, Watch, WatchedTrial, WorkCounts
from mlpstorage_bench.units import MIB, NS_PER_S

ALLOWED_SHARE = 0.005
WINDOW_S = 3.0
PAIRS = 5
LANES = (1, 16, 128)
RANKS = 4096
DISTINCT_RANKS = 4
"""Number of different series; all other ranks repeat them."""
SECONDS = 300
OPERATIONS_PER_S = 2000


@pytest.mark.parametrize("lanes", LANES)
def test_series_cost(benchmark: Any, lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with_us: list[float] = []
    without_us: list[float] = []
    readings_us: list[float] = []
    shares: list[float] = []
    of_core: list[float] = []

    def pair() -> None:
        with timed(monkeypatch) as spent:
            cpu_us, cpu_s = operation(lanes)
        with_us.append(cpu_us)
        readings_us.append(statistics.median(spent) / 1e3)
        shares.append(sum(spent) / NS_PER_S / cpu_s)
        of_core.append(sum(spent) / NS_PER_S / WINDOW_S)
        with monkeypatch.context() as patch:
            patch.setattr(SeriesRecorder, "sample", lambda *_: None)
            patch.setattr(SeriesRecorder, "_record", lambda *_: None)
            without_us.append(operation(lanes)[0])

    benchmark.pedantic(pair, rounds=PAIRS, iterations=1)
    ratios = [one / other for one, other in zip(with_us, without_us, strict=True)]
    benchmark.extra_info.update(
        lanes=lanes,
        with_cpu_us=statistics.median(with_us),
        without_cpu_us=statistics.median(without_us),
        ratio=spread(ratios),
        reading_us=spread(readings_us),
        share=spread(shares),
        share_of_core=spread(of_core),
    )
    assert statistics.median(of_core) < ALLOWED_SHARE


def spread(values: list[float]) -> tuple[float, float, float]:
    """Return minimum, median and maximum."""
    return min(values), statistics.median(values), max(values)


@contextmanager
def timed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Yield a list with the CPU time (ns) that this thread spends in each reading."""
    spent: list[int] = []
    record = SeriesRecorder._record  # noqa: SLF001 - the part that costs

    def timed_record(recorder: SeriesRecorder, ring: Ring, now_ns: int) -> None:
        began_ns = time.thread_time_ns()
        record(recorder, ring, now_ns)
        spent.append(time.thread_time_ns() - began_ns)

    with monkeypatch.context() as patch:
        patch.setattr(SeriesRecorder, "_record", timed_record)
        yield spent


def operation(lanes: int) -> tuple[float, float]:
    """Return the CPU time (µs) of one operation over a store that transfers nothing, and all (s).

    Half of the operations are reads, half are writes.
    """
    workload = Workload(
        model="llama2-7b",
        kv_dtype="float32",
        tensor_parallel=16,  # 64 KiB per token and shard
        entry_scale=1e-9,  # an entry is one token
        io_chunk_kib=64,
        decode_reads="once",
        num_users=max(LANES),
        max_concurrent_allocs=lanes,
        duration=WINDOW_S,
        calibration=WINDOW_S,
    )
    context = TrialContext(0, "here", Path.cwd(), "direct", 0, seed=42)
    trial = run_over(NullStore(is_queued=True), workload, context, SoloComm())
    assert trial.failure is None
    assert trial.cpu_s is not None
    operations = sum(one.chunks for one in trial.stored)
    return trial.cpu_s / operations * 1e6, trial.cpu_s


def full_ring(seed: int) -> Ring:
    """Return a ring with the operations of 300 s."""
    random, ring = np.random.default_rng(seed), Ring("window", 0)
    for second in range(SECONDS):
        counts = np.zeros((2, 2, BUCKETS), dtype=np.int64)
        for of_kind in counts:
            for of_span in of_kind:
                for value in random.lognormal(np.log(1e7), 1.0, OPERATIONS_PER_S // 2).astype(int):
                    of_span[coarse_bucket_of(int(value))] += 1
        moved = np.full(2, OPERATIONS_PER_S // 2 * MIB)
        ring.add(second * NS_PER_S, (second + 1) * NS_PER_S, moved, counts)
    return ring


def test_series_of_many_ranks(benchmark: Any) -> None:
    """Merge of 4096 ranks: what is sent, rank 0's time in the tree, and all merges together."""
    offset = ClockOffset.none(0)
    common = CommonTime(offset, offset)
    rings = [full_ring(seed) for seed in range(DISTINCT_RANKS)]
    slots = [ring.until(SECONDS * NS_PER_S, common) for ring in rings]
    sent = [pickle.dumps(SlotSeries({"window": one}, 0)) for one in slots]
    spent: dict[str, float] = {}

    def merge() -> None:
        own = pickle.loads(sent[0])  # noqa: S301 - pickled above
        began_s = time.perf_counter()
        for _ in range((RANKS - 1).bit_length()):
            own = own.merge(pickle.loads(sent[1]))  # noqa: S301 - as above
        spent["tree_s"] = time.perf_counter() - began_s
        total = pickle.loads(sent[0])  # noqa: S301 - as above
        began_s = time.perf_counter()
        for rank in range(1, RANKS):
            total = total.merge(pickle.loads(sent[rank % DISTINCT_RANKS]))  # noqa: S301 - as above
        spent["all_s"] = time.perf_counter() - began_s
        began_s = time.perf_counter()
        series = total.series()
        spent["series_s"] = time.perf_counter() - began_s
        spent["json_kib"] = len(json.dumps(asdict(series))) / 1024
        assert sum(series.window.reads) == RANKS * SECONDS * OPERATIONS_PER_S // 2

    benchmark.pedantic(merge, rounds=1, iterations=1)
    memory = Ring("window", 0).size_bytes
    benchmark.extra_info.update(
        ranks=RANKS,
        slots=SLOTS,
        ring_mib=memory / MIB,
        sent_kib=len(sent[0]) / 1024,
        rank_file_kib=len(json.dumps(asdict(SlotSeries({"window": slots[0]}, 0).series(64))))
        / 1024,
        **spent,
    )


@pytest.mark.parametrize("ranks", [1, 256, 4096])
def test_progress_cost(benchmark: Any, ranks: int) -> None:
    """CPU time in which rank 0 makes the progress of all ranks: its message, figures and region.

    Messages of other ranks are received already. It happens once a second, and every 32 s with 4096
    ranks; the least of 20 rounds is the one that other programs disturbed least.
    """
    comm = Posted(ranks)
    texts: list[str] = []
    region_of = LiveRegion(ends_lines=True)

    def show(progress: Progress) -> None:
        texts.append(region_of.drawn(region(progress, 100, has_color=True)))

    watch = Watch(comm, Viewer(show), is_on=True)
    watch.begin_trial(TrialPlace("1", 1, 3, 0.0, 0.0, 10.0, 60.0))
    counts_of = WorkCounts(found=0, lookups=0, in_flight=16, errors=0)
    one = TrialWatch(
        watch, comm, WatchedTrial(10.0, 60.0, Criterion(2.0, 0.1, 0.1), lambda: counts_of)
    )
    counts = np.zeros((2, 2, BUCKETS), dtype=np.int64)
    counts[:, :, 40:60] = 5
    moved = np.array([1 << 30, 1 << 28])
    reading = SeriesReading(1.0, moved, counts, 30.0, moved * 30, 6000)
    one.began("window")
    spent: list[int] = []

    def read() -> None:
        one._sent_s = 0.0  # noqa: SLF001 - as if a second had passed
        began_ns = time.thread_time_ns()
        one.read(reading)
        spent.append(time.thread_time_ns() - began_ns)

    benchmark.pedantic(read, rounds=20, iterations=1)
    benchmark.extra_info.update(
        ranks=ranks,
        message_bytes=len(comm.posted()[0]),
        progress_us=spread([ns / 1e3 for ns in spent]),
    )
    assert len(texts) > len(spent)


class Posted(SoloComm):
    """Rank 0 of many, all of which have posted what it posts."""

    def __init__(self, ranks: int) -> None:
        super().__init__()
        self.size = ranks

    def post(self, figures: bytes) -> None:
        """Keep the figures as those of every rank."""
        self._posted = dict.fromkeys(range(self.size), figures)
