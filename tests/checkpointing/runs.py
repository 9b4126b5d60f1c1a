"""Small checkpoints on one rank, on real files."""

from __future__ import annotations

from pathlib import Path

from mlpstorage_bench.checkpointing.config.parameters import Kind, Parameters
from mlpstorage_bench.checkpointing.results.rank_checkpoint import RankCheckpoint
from mlpstorage_bench.checkpointing.runner.checkpoint_run import (
    SLOT_BYTES,
    CheckpointContext,
    run_checkpoint,
)
from mlpstorage_bench.checkpointing.runner.share_files import ShareFiles, checkpoint_io
from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.trial.counter_probe import UsableCounters
from mlpstorage_bench.trial.watch import Watch
from mlpstorage_bench.units import KIB
from tests.trials import SoloRanks

SCALE = 2e-5
"""About 2 MiB of a checkpoint of the smallest model."""


def parameters(**changes: object) -> Parameters:
    values = {
        "model": "llama3-8b",
        "num_checkpoints_write": 2,
        "num_checkpoints_read": 2,
        "time_between_checkpoints": 0.0,
        "scale": SCALE,
        "io_chunk_kib": 16,
        **changes,
    }
    return Parameters.model_validate(values)


class Share:
    """The files of one rank, and its runs over them."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.parameters = parameters(**changes)
        mode = self.parameters.io_mode
        if mode is None:
            mode = "direct" if probe_direct_io(folder).is_available else "buffered"
        self.files = ShareFiles(
            folder,
            self.parameters.form.files(
                self.parameters.trained, 0, self.parameters.sharers(1), self.parameters.scale
            ),
            chunk_bytes=self.parameters.io_chunk_kib * KIB,
            alignment_bytes=4096,
        )
        self.ranks = SoloRanks()
        self.context = CheckpointContext(
            rank=0,
            host="here",
            io=checkpoint_io(
                mode,
                self.parameters.durability,
                has_device=BlockDevice.under(folder) is not None,
            ),
            queue="auto",
            uses_workers=False,
            payload=Payload(42, origin="test"),
            counters=UsableCounters.probe(folder, mode),
            copies=MemoryStore(SLOT_BYTES),
        )

    def run(self, kind: Kind, checkpoint: int = 1) -> RankCheckpoint:
        watch = Watch(self.ranks, None, is_on=False)
        return run_checkpoint(
            *(self.parameters, self.context, self.ranks, self.files, kind, checkpoint, watch)
        )
