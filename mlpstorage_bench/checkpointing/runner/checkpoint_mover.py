"""Moves of a rank's checkpoints between memory and its files, by what its storage can do."""

from __future__ import annotations

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.checkpointing.config.parameters import Kind, Parameters
from mlpstorage_bench.checkpointing.results.rank_checkpoint import RankCheckpoint
from mlpstorage_bench.checkpointing.runner.calibration import calibrate
from mlpstorage_bench.checkpointing.runner.checkpoint_run import (
    SLOT_BYTES,
    CheckpointContext,
    run_checkpoint,
)
from mlpstorage_bench.checkpointing.runner.share_files import ShareFiles, checkpoint_io
from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import moves_buffered
from mlpstorage_bench.trial.counter_probe import UsableCounters
from mlpstorage_bench.trial.storage_modes import StorageModes
from mlpstorage_bench.trial.watch import Watch


class CheckpointMover:
    """Writes and reads a rank's files of checkpoints, while all ranks do."""

    def __init__(
        self,
        ranks: TrialRanks,
        site: RankSite,
        storage: StorageModes,
        files: ShareFiles,
        payload: Payload,
        counters: UsableCounters,
        *,
        has_device: bool,
    ) -> None:
        """`has_device`: the files lie on a block device of their own."""
        self._ranks = ranks
        self._site = site
        self._storage = storage
        self._files = files
        self._payload = payload
        self._counters = counters
        self._has_device = has_device
        self._ceilings: dict[Kind, Ceiling | None] = {}
        """Limits of the harness on this host."""
        self._copies = MemoryStore(SLOT_BYTES)
        """Memory for copies of files, which is used again by later checkpoints."""

    def move(
        self, parameters: Parameters, kind: Kind, checkpoint: int, watch: Watch
    ) -> RankCheckpoint:
        """Write or read a checkpoint on all ranks; a failure is in the result."""
        mode = self._storage.mode(parameters.io_mode)
        context = CheckpointContext(
            rank=self._ranks.rank,
            host=self._site.host,
            io=checkpoint_io(mode, parameters.durability, has_device=self._has_device),
            queue=self._storage.queue(mode),
            uses_workers=self._storage.uses_workers,
            payload=self._payload,
            counters=self._counters,
            copies=self._copies,
        )
        return run_checkpoint(
            parameters, context, self._ranks, self._files, kind, checkpoint, watch
        )

    def drop_left(self, parameters: Parameters, checkpoint: int) -> None:
        """Drop the pages that uncached transfers have left, in no time that is measured.

        The kernel keeps those that it had before, or writes back in an interrupt.
        """
        if self._storage.mode(parameters.io_mode) == "uncached":
            self._files.drop(checkpoint, FileIo("uncached"))

    def ceiling(self, parameters: Parameters, kind: Kind, watch: Watch) -> Ceiling | None:
        """Return the ceiling of writes or reads, which is measured before the first of them."""
        if kind not in self._ceilings:
            mode = self._storage.mode(parameters.io_mode)
            chosen = parameters.io_queue
            watch.begin("calibration", None)
            self._ceilings[kind] = calibrate(
                parameters,
                self._ranks,
                self._payload,
                self._files.files,
                kind,
                is_queued=mode == "direct"
                or moves_buffered(self._storage.queue(mode) if chosen == "auto" else chosen),
            )
        return self._ceilings[kind]
