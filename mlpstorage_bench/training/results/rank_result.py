"""Result of one rank's trial: the reference's figures of each epoch, ours under `mlpstorage`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from mlpstorage_bench.benchmark_type.records import Json, SequenceStep
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.results.rank_training import RankTraining
from mlpstorage_bench.trial.window_json import operations_json, series_json, window_json

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
    return {
        **window_json(rank, trial),
        "meaning": _MEANING,
        "parameters": workload.model_dump(),
        "epochs": [asdict(epoch) for epoch in rank.epochs],
        "batch_size": rank.batch,
        "computation_s": rank.computation_s,
        "record_bytes": rank.record_bytes,
        "samples": rank.samples,
        "corrupt_reads": rank.corrupt_reads,
        "histograms": {"operations": operations_json(rank)},
        "time_series": series_json(rank.series),
    }
