"""Option 1 of MLPerf Storage's KV-cache benchmark compared with fio, which has the same mix.

Ours is the complete harness: the requests, cache, files, content, checks and records of a real
trial, with the sanctioned parameters, apart from a short window after a warm-up and no think times,
in which storage would idle. A first trial, which is not measured, has a trace of its operations:
fio gets the sizes of its system calls (`--bssplit`) and its number in flight, and the share of
reads in the window of our latest trial. It moves them from and to a preallocated file, without
content, checks or fsync.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.beside_fio import RAMP_S, Conditions, Measures, figures, in_turn
from benchmarks.harness.call_mix import call_mix, percentages
from benchmarks.harness.fio import Fio
from benchmarks.harness.flat_load import Load, Sample
from mlpstorage_bench.kvcache.config.mlperf import PROFILE
from mlpstorage_bench.kvcache.config.profile_file import load_profile
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.mpi.comm import SoloComm
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.units import GIB

OPTION = "1"
WARM_UP_S = 8.0
"""All lanes begin with a write: entries of 0.6 GiB on average, so 16 of them take some seconds."""
WINDOW_S = 6.0
FIO_WINDOW_S = 3.0
FIO_FILE_BYTES = 4 * GIB
CAPACITY_BYTES = 32 * GIB

pytestmark = pytest.mark.skipif(
    shutil.which("fio") is None, reason="fio is not installed (Debian package fio)"
)


def test_option_1(
    study_dir: Path, tmp_path: Path, io_mode: IoMode, conditions: Conditions, benchmark: Any
) -> None:
    workload = saturating(conditions.io_threads)
    directory = study_dir / "entries"
    directory.mkdir()
    context = TrialContext(0, "here", directory, io_mode, CAPACITY_BYTES, seed=42)
    trace = tmp_path / "trace.csv"
    latest = run_trial(workload, context, SoloComm(), trace=trace)
    mix = call_mix(trace, latest.chunk_bytes)
    load = Load(latest.chunk_bytes, latest.lanes, 1, 0.5, file_bytes=FIO_FILE_BYTES)
    file = study_dir / "fio"
    Fio(file, load, io_mode).write_file()

    def own() -> Sample:
        nonlocal latest
        latest = run_trial(workload, context, SoloComm())
        return sample_of(latest)

    def fio(memory: str) -> Sample:
        options = mix.fio_options(read_share_of(latest))
        return Fio(file, load, io_mode, memory, options).run(FIO_WINDOW_S, RAMP_S)

    measures: Measures = {"own": own}
    for prefix, memory in conditions.memories.items():
        measures[f"{prefix}fio"] = partial(fio, memory)
    samples = in_turn(benchmark, measures, conditions.pairs)
    benchmark.extra_info.update(
        workload=f"{PROFILE} {OPTION}",
        in_flight=latest.in_flight,
        io_mode=io_mode,
        read_calls=percentages(mix.reads),
        write_calls=percentages(mix.writes),
        calls_per_entry=mix.calls_per_entry,
        **conditions.figures(),
        **figures(samples),
    )


def saturating(io_threads: int) -> Workload:
    """Return the sanctioned workload with a short window and without think times."""
    changes: dict[str, object] = {
        "duration": WINDOW_S,
        "warmup": WARM_UP_S,
        "think_time_scale": 0.0,
    }
    if io_threads != 1:
        changes["io_threads"] = io_threads
    sanctioned = load_profile(PROFILE).workloads[OPTION]
    return Workload.model_validate(sanctioned.model_dump() | changes)


def read_share_of(trial: RankTrial) -> float:
    """Return the share of reads of the system calls in a trial's window."""
    reads, writes = trial.stored
    return reads.chunks / (reads.chunks + writes.chunks)


def sample_of(trial: RankTrial) -> Sample:
    """Return the figures of storage in a trial's window."""
    assert trial.failure is None, trial.failure
    assert trial.rate is not None
    assert trial.cpu_s is not None
    reads, writes = trial.stored
    p95_ms = Histogram.pooled([reads.chunk]).percentile_ms(95)
    assert p95_ms is not None, "no read ended within the window"
    spans_ns = reads.chunk.sum_ns + writes.chunk.sum_ns
    return Sample(
        gib_s=trial.rate.gib_s,
        p95_ms=p95_ms,
        cpu_s_per_gib=trial.cpu_s / (trial.reported.total / GIB),
        read_share=trial.reported.read_bytes / trial.reported.total,
        late_share=(reads.latency_overestimate_ns + writes.latency_overestimate_ns) / spans_ns,
    )
