"""Result of one rank's trial: the reference's figures of each epoch, ours under `mlpstorage`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from mlpstorage_bench.benchmark_type.records import Json, SequenceStep
from mlpstorage_bench.measure.series_slots import SLOTS_IN_FILES_OF_RANKS
from mlpstorage_bench.results.tree import TIMESTAMP_FORMAT
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.results.rank_training import RankTraining

BLOCK = "block1"
"""The reference's name of an epoch's only part."""
_MEANING = {
    "au": "accelerator utilization in percent, without the first step",
    "throughput": "samples per second of this accelerator, with the first step",
    "began_ns, first_step_ended_ns, ended_ns": "moments of this rank's own clock",
}


def rank_result(
    workload: TrainingWorkload, trial: int, rank: RankTraining, steps: Sequence[SequenceStep] = ()
) -> Json:
    """Return the content of `<rank>_output.json` for this rank and trial.

    `steps` are those that the rank has taken since the trial before.
    """
    epochs = {
        str(times.epoch): {
            "throughput": {BLOCK: figures.samples_per_s},
            "au": {BLOCK: figures.au_percentage},
        }
        for times, figures in zip(rank.epochs, rank.figures, strict=True)
    }
    return {
        **epochs,
        "hostname": rank.host,
        "mlpstorage": {
            **_additions(workload, trial, rank),
            "sequence": [asdict(step) for step in steps],
        },
    }


def _additions(workload: TrainingWorkload, trial: int, rank: RankTraining) -> Json:
    """Return our own figures; `trial` is from 1."""
    audit, series = rank.audit, rank.series
    device, mount = rank.device_traffic, rank.mount_traffic
    started = datetime.fromtimestamp(rank.started_at).astimezone()
    return {
        "rank": rank.rank,
        "host": rank.host,
        "trial": trial,
        "started": started.strftime(TIMESTAMP_FORMAT),
        "meaning": _MEANING,
        "parameters": workload.model_dump(),
        "opened_at": rank.opened_at,
        "window_s": rank.window_s,
        "drain_s": rank.drain_s,
        "closed_by": rank.closed_by,
        "edges": None if rank.edges is None else asdict(rank.edges),
        "epochs": [asdict(epoch) for epoch in rank.epochs],
        "batch_size": rank.batch,
        "computation_s": rank.computation_s,
        "record_bytes": rank.record_bytes,
        "samples": rank.samples,
        "io_mode": rank.io_mode,
        "in_flight": rank.in_flight,
        "queue_unavailable_reason": rank.queue_unavailable_reason,
        "io_threads": rank.io_threads,
        "io_queue": rank.io_queue,
        "io_queue_refusal": rank.io_queue_refusal,
        "huge_page_share": rank.huge_page_share,
        "audit_ratio": audit.ratio,
        "audit_verdict": audit.verdict,
        "audit_reason": audit.reason,
        "page_cache_bytes": audit.cached_bytes,
        "device": None
        if device is None
        else {"name": device.device.name, **asdict(device.traffic)},
        "mount": None if mount is None else asdict(mount),
        "lane_time": None if rank.lane_time is None else asdict(rank.lane_time),
        "corrupt_reads": rank.corrupt_reads,
        "cpu_s": rank.cpu_s,
        "peak_rss_bytes": rank.peak_rss_bytes,
        "histograms": {
            "operations": [
                {**key._asdict(), **operation.to_dict()}
                for key, operation in sorted(rank.operations.items())
            ]
        },
        "time_series": None if series is None else asdict(series.series(SLOTS_IN_FILES_OF_RANKS)),
    }
