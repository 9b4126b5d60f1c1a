"""Engine that writes and reads checkpoints on all ranks, in each rank's directory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.checkpointing.config.parameters import Kind, Parameters
from mlpstorage_bench.checkpointing.results.pooling import (
    pool_case,
    pool_checkpoint,
    pool_samples,
)
from mlpstorage_bench.checkpointing.results.rank_checkpoint import (
    CheckpointSamples,
    RankCheckpoint,
)
from mlpstorage_bench.checkpointing.results.rank_result import rank_result
from mlpstorage_bench.checkpointing.results.trial_result import CheckpointingResult, CheckpointTrial
from mlpstorage_bench.checkpointing.runner.checkpoint_mover import CheckpointMover
from mlpstorage_bench.checkpointing.runner.handover import HandOver
from mlpstorage_bench.checkpointing.runner.kept_checkpoints import KeptCheckpoints
from mlpstorage_bench.checkpointing.runner.left_checkpoints import PREFIX
from mlpstorage_bench.checkpointing.runner.share_files import ShareFiles
from mlpstorage_bench.checkpointing.sizing import not_fitting
from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.cached_files import DroppedFiles
from mlpstorage_bench.storage.directory import RankDirectory
from mlpstorage_bench.storage.page_cache_probe import PageCacheStates
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.trial.engine import TrialEngine, placed
from mlpstorage_bench.trial.outcome import TrialOutcome
from mlpstorage_bench.trial.pooling import pool_on_root
from mlpstorage_bench.trial.series_recorder import pool_series
from mlpstorage_bench.trial.storage_modes import StorageModes
from mlpstorage_bench.units import KIB

Outcome = TrialOutcome[CheckpointTrial, CheckpointSamples]

REWRITTEN = (
    "checkpoints were written once more before they were read, unmeasured: this session has not "
    "written them"
)


class Engine(TrialEngine):
    """Writes and reads checkpoints in this rank's directory. A context manager."""

    def __init__(
        self, ranks: TrialRanks, site: RankSite, parameters: Parameters, seed: int = 0
    ) -> None:
        directory = RankDirectory(site.cache_dir, ranks.rank, prefix=PREFIX, finds=True)
        super().__init__(ranks, site, directory)
        self._parameters = parameters
        self._seed = seed
        self._storage = StorageModes(
            site,
            directory.path,
            {parameters.io_mode},
            {parameters.durability} if parameters.durability != "none" else set(),
            keeps_pages=True,
        )
        self._files: ShareFiles
        self._handover: HandOver
        self._mover: CheckpointMover
        self.kept: KeptCheckpoints
        """The checkpoints that the rank has, once the engine is entered."""
        self.has_rewritten = False
        """Whether checkpoints were written unmeasured, because reads need them."""

    def _modes(self) -> StorageModes:
        return self._storage

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._files = self._share_files(self._parameters)
            self._handover = HandOver(
                self._files, self._ranks, is_first_on_host=self._site.is_first_on_host
            )
            self.kept = KeptCheckpoints(
                self._parameters,
                self._ranks,
                self._site,
                self._directory,
                self._files,
                seed=self._seed,
                place=self._place,
            )
            found = self.kept.find()
            own = Payload(self._seed, origin=f"rank {self._ranks.rank}, {time.time_ns()}")
            self._mover = CheckpointMover(
                self._ranks,
                self._site,
                self._storage,
                self._files,
                own if found is None else Payload(found),
                self._counters,
                has_device=BlockDevice.under(self._directory.path) is not None,
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    @property
    def page_cache(self) -> PageCacheStates:
        """States of the page cache under this rank's directory; measured on the first rank."""
        return self._storage.page_cache

    @property
    def is_buffered(self) -> bool:
        """Whether files go through the page cache."""
        return self._storage.is_buffered

    def check_cases(self, cases: Sequence[str]) -> None:
        """Raise MlpsError if checkpoints cannot be written or read here."""
        self._storage.mode(self._parameters.io_mode)
        if cases and self._parameters.phase != "read":
            with placed(self._place):
                self._check_space(self._parameters)

    def begin_case(self) -> bool:
        """Begin a case, and return whether another one came before.

        The first one begins with what the run itself has written: all else is removed.
        """
        self._remove_others()
        return super().begin_case()

    def _remove_others(self) -> None:
        with placed(self._place):
            self.kept.remove_others()

    def run_trial(
        self, parameters: Parameters, kind: Kind, trial: int, *, is_last: bool = False
    ) -> Outcome:
        """Write or read a checkpoint on all ranks; `trial` is its number, from 1.

        With more trials than checkpoints, the first ones are replaced, or read again. `is_last`: no
        further one of its case is planned.
        """
        self._remove_others()
        started_at = self._log.start_of(trial)
        slot = self.kept.slot(trial)
        if kind == "read":
            self._ensure_written(parameters, slot)
            dropped = self._hand_over(parameters, trial, slot)
        else:
            dropped = None
            self.kept.begin_write(slot)
        ceiling = self._mover.ceiling(parameters, kind, self.watch)
        handover_s = self.kept.since_last_write_s() if kind == "read" else None
        with placed(self._place), self._log.record("trial", trial) as step:
            mine = self._move(parameters, kind, slot)
            step.pause_began_ns = mine.training_began_ns
        mine = replace(
            mine,
            checkpoint=trial,
            started_at=started_at,
            handover_s=handover_s,
            ceiling=ceiling,
            data_to_memory=self._data_to_memory(parameters, kind),
        )
        if dropped is not None:
            mine = replace(mine, cached_pages=dropped.left_pages, drop_problem=dropped.problem)
        if mine.failure is not None:
            mine = replace(mine, failure=mine.failure.with_place(self._place))
        elif kind == "write":
            self.kept.end_write()
        self._drop_left(parameters, slot)
        samples = self._ranks.merge(CheckpointSamples.of([mine]), CheckpointSamples.merge)
        pooled = pool_on_root(
            self._ranks, mine.totals(), lambda totals: pool_checkpoint(totals, samples)
        )
        is_right = pooled.failure is None and not pooled.corrupt_reads
        self.kept.was_read(is_last=is_last, is_right=is_right)
        series = pool_series(self._ranks, mine.series)
        steps = self._log.unreported()
        results = self._ranks.gather(rank_result(parameters, mine, steps))
        return TrialOutcome(pooled, samples, results, series)

    def pool_case(
        self,
        case: str,
        kind: Kind,
        trials: Sequence[CheckpointTrial],
        samples: Sequence[CheckpointSamples],
    ) -> CheckpointingResult:
        """Return a case's result on every rank; `samples` has those of each trial on rank 0."""
        pooled = self._ranks.bcast(pool_samples(CheckpointSamples.total(samples)))
        return pool_case(case, kind, trials, pooled)

    def _move(self, parameters: Parameters, kind: Kind, slot: int) -> RankCheckpoint:
        self._handover.was_used(slot)
        return self._mover.move(parameters, kind, slot, self.watch)

    def _drop_left(self, parameters: Parameters, slot: int) -> None:
        with placed(self._place):
            self._mover.drop_left(parameters, slot)

    def _share_files(self, parameters: Parameters) -> ShareFiles:
        ranks = parameters.sharers(self._ranks.size)
        return ShareFiles(
            self._directory.path,
            parameters.form.files(parameters.trained, self._ranks.rank, ranks, parameters.scale),
            chunk_bytes=parameters.io_chunk_kib * KIB,
            alignment_bytes=self._storage.alignment(parameters.io_mode, parameters.io_chunk_kib),
        )

    def _check_space(self, parameters: Parameters) -> None:
        free = self._storage.free_bytes()
        not_fitting(
            parameters,
            self._files.stored_bytes,
            None if free is None else free + self.kept.other_bytes,
            self._site.memory_bytes,
            len(self._files.written),
        )

    def write_again(self, parameters: Parameters, kind: Kind, slots: Sequence[int]) -> None:
        """Write lost checkpoints unmeasured, before reads or the other writes."""
        self._remove_others()
        for slot in slots:
            self.kept.begin_write(slot)
            self._write_unmeasured(parameters, slot)
            self.has_rewritten = self.has_rewritten or kind == "read"

    def _ensure_written(self, parameters: Parameters, slot: int) -> None:
        """Write a checkpoint that is to be read and that this session has not written."""
        if self.kept.is_lacking(slot):
            self._write_unmeasured(parameters, slot)
            self.has_rewritten = True

    def _write_unmeasured(self, parameters: Parameters, slot: int) -> None:
        with placed(self._place):
            again = self._move(parameters, "write", slot)
            if again.failure is not None:
                raise again.failure
        self.kept.end_write()
        self._drop_left(parameters, slot)

    def _hand_over(self, parameters: Parameters, trial: int, slot: int) -> DroppedFiles | None:
        """Run the user's command and drop caches before a read; also before it is read again.

        None if the checkpoint was neither written nor read since.
        """
        if not self._handover.is_due(slot):
            return None
        with placed(self._place), self._log.record("caches_dropped", trial):
            return self._handover.run(parameters)

    def _data_to_memory(self, parameters: Parameters, kind: Kind) -> float | None:
        """Return the bytes of all checkpoints ÷ memory: of reads, of those that were written."""
        memory = self._site.memory_bytes
        written = len(self._files.written)
        count = written if kind == "read" else parameters.num_checkpoints_write
        return count * self._files.tensor_bytes / memory if memory else None
