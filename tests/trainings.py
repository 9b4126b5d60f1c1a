"""Small trainings on one rank, on real files."""

from __future__ import annotations

from pathlib import Path

from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.dataset.place import Contents, DatasetPlace
from mlpstorage_bench.training.results.generated import Generated
from mlpstorage_bench.training.runner.context import TrainingContext
from mlpstorage_bench.training.runner.datagen import generate
from mlpstorage_bench.trial.counter_probe import UsableCounters
from mlpstorage_bench.trial.watch import Watch
from mlpstorage_bench.units import KIB
from tests.trials import SoloRanks


def training(**changes: object) -> TrainingWorkload:
    """Return a training of 4 steps of 2 samples of some 140 KiB, in two epochs of 10 ms a step."""
    values = {
        "model": "unet3d",
        "batch_size": 2,
        "computation_time": 0.01,
        "epochs": 2,
        "steps": 4,
        "scale": 0.001,
        "io_chunk_kib": 64,
        "read_threads": 2,
        **changes,
    }
    return TrainingWorkload.model_validate(values)


def context(
    directory: Path, workload: TrainingWorkload, ranks: int = 1, seed: int = 1, rank: int = 0
) -> TrainingContext:
    """Return the surroundings of a training whose data is in a directory."""
    files = workload.num_files_train or workload.files_for_steps(ranks) or 1
    contents = Contents.of(workload, files, seed, workload.io_chunk_kib * KIB)
    best: IoMode = "direct" if probe_direct_io(directory).is_available else "buffered"
    mode = workload.asked_mode or best
    return TrainingContext(
        rank=rank,
        host="here",
        place=DatasetPlace(directory, contents, workload.dataset(files, seed)),
        io_mode=mode,
        best_io_mode=best,
        counters=UsableCounters.probe(directory, best),
    )


def generated(workload: TrainingWorkload, here: TrainingContext) -> Generated:
    """Make the data of a training."""
    ranks = SoloRanks()
    return generate(workload, here, ranks, Watch(ranks, None, is_on=False), None)
