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
from mlpstorage_bench.checkpointing.runner.calibration import calibrate
from mlpstorage_bench.checkpointing.runner.checkpoint_run import (
    SLOT_BYTES,
    CheckpointContext,
    run_checkpoint,
)
from mlpstorage_bench.checkpointing.runner.handover import drop, run_call_out
from mlpstorage_bench.checkpointing.runner.left_checkpoints import LeftCheckpoints
from mlpstorage_bench.checkpointing.runner.lost_checkpoints import needed, slot_of
from mlpstorage_bench.checkpointing.runner.share_files import ShareFiles, checkpoint_io
from mlpstorage_bench.checkpointing.sizing import not_fitting
from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.cached_files import DroppedFiles
from mlpstorage_bench.storage.directory import RankDirectory
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.page_cache_probe import PageCacheStates
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import moves_buffered
from mlpstorage_bench.trial.engine import TrialEngine, placed
from mlpstorage_bench.trial.outcome import TrialOutcome
from mlpstorage_bench.trial.pooling import pool_on_root
from mlpstorage_bench.trial.series_recorder import pool_series
from mlpstorage_bench.trial.storage_modes import StorageModes
from mlpstorage_bench.units import KIB

Outcome = TrialOutcome[CheckpointTrial, CheckpointSamples]

PREFIX = "checkpoint_rank"
"""Beginning of the names of directories of ranks: another type's may lie beside them."""
REWRITTEN = (
    "checkpoints were written once more before they were read, unmeasured: this session has not "
    "written them"
)


class Engine(TrialEngine):
    """Writes and reads checkpoints in this rank's directory. A context manager."""

    def __init__(
        self, ranks: TrialRanks, site: RankSite, parameters: Parameters, seed: int = 0
    ) -> None:
        self._goes_on = parameters.phase == "write" and site.is_resumed
        """Whether earlier parts of the run have left checkpoints that stay."""
        finds = self._goes_on or parameters.phase == "read"
        directory = RankDirectory(site.cache_dir, ranks.rank, prefix=PREFIX, finds=finds)
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
        self._payload = Payload(seed, origin=f"rank {ranks.rank}, {time.time_ns()}")
        self._files: ShareFiles
        self._left: LeftCheckpoints
        self._last_write_at: float | None = None
        """When the last write of a checkpoint ended (seconds since the epoch)."""
        self._dropped: set[int] = set()
        """Checkpoints that were neither written nor read since pages were dropped."""
        self.has_rewritten = False
        """Whether checkpoints were written unmeasured, because reads need them."""
        self._ceilings: dict[Kind, Ceiling | None] = {}
        """Limits of the harness on this host."""
        self._copies = MemoryStore(SLOT_BYTES)
        """Memory for copies of files, which is used again by later checkpoints."""

    def _modes(self) -> StorageModes:
        return self._storage

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._files = self._share_files(self._parameters)
            self._left = LeftCheckpoints(
                self._parameters,
                self._ranks,
                self._directory,
                self._files,
                seed=self._seed,
                run_id=self._site.run_id,
            )
            if self._goes_on:
                self._last_write_at = self._left.take_up()
            if self._parameters.phase == "read" and not self._have_all_read():
                found = self._left.find()
                self._payload = Payload(found.seed)
                self._last_write_at = found.ended_at
        except BaseException:
            self.__exit__()
            raise
        return self

    def _have_all_read(self) -> bool:
        """Whether a run goes on that had ended its reads, and removed the files on all ranks."""
        is_gone = self._site.is_resumed and not self._left.is_listed
        return self._ranks.bcast(self._ranks.merge(is_gone, _both)) or False

    @property
    def page_cache(self) -> PageCacheStates:
        """States of the page cache under this rank's directory; measured on the first rank."""
        return self._storage.page_cache

    @property
    def is_buffered(self) -> bool:
        """Whether files go through the page cache."""
        return self._storage.is_buffered

    @property
    def file_io(self) -> str:
        """How files are moved, in words, such as `direct I/O`."""
        return self._storage.file_io

    def check_cases(self, cases: Sequence[str]) -> None:
        """Raise MlpsError if checkpoints cannot be written or read here."""
        self._storage.mode(self._parameters.io_mode)
        if cases and self._parameters.phase != "read":
            with placed(self._place):
                self._check_space(self._parameters)

    def run_trial(
        self, parameters: Parameters, kind: Kind, trial: int, *, is_last: bool = False
    ) -> Outcome:
        """Write or read a checkpoint on all ranks; `trial` is its number, from 1.

        With more trials than checkpoints, the first ones are replaced, or read again. `is_last`: no
        further one of its case is planned.
        """
        started_at = self._log.start_of(trial)
        slot = slot_of(self._slots(parameters), trial)
        if kind == "read":
            self._ensure_written(parameters, slot)
            dropped = self._hand_over(parameters, trial, slot)
        else:
            dropped = None
            if parameters.phase == "write":
                self._left.withdraw(slot, self._last_write_at)
        ceiling = self._ceiling(parameters, kind)
        handover_s = self._since_last_write() if kind == "read" else None
        with placed(self._place), self._log.record("trial", trial) as step:
            mine = self._run(parameters, kind, slot)
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
            self._note_written(parameters)
        self._drop_left(parameters, slot)
        samples = self._ranks.merge(CheckpointSamples.of([mine]), CheckpointSamples.merge)
        pooled = pool_on_root(
            self._ranks, mine.totals(), lambda totals: pool_checkpoint(totals, samples)
        )
        if parameters.phase == "read":
            is_right = pooled.failure is None and not pooled.corrupt_reads
            self._left.was_read(is_last=is_last, is_right=is_right)
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

    def _run(self, parameters: Parameters, kind: Kind, slot: int) -> RankCheckpoint:
        self._dropped.discard(slot)
        mode = self._storage.mode(parameters.io_mode)
        has_device = BlockDevice.under(self._directory.path) is not None
        context = CheckpointContext(
            rank=self._ranks.rank,
            host=self._site.host,
            io=checkpoint_io(mode, parameters.durability, has_device=has_device),
            queue=self._storage.queue(mode),
            uses_workers=self._storage.uses_workers,
            payload=self._payload,
            counters=self._counters,
            copies=self._copies,
        )
        return run_checkpoint(parameters, context, self._ranks, self._files, kind, slot, self.watch)

    def _share_files(self, parameters: Parameters) -> ShareFiles:
        ranks = parameters.sharers(self._ranks.size)
        return ShareFiles(
            self._directory.path,
            parameters.form.files(parameters.trained, self._ranks.rank, ranks, parameters.scale),
            chunk_bytes=parameters.io_chunk_kib * KIB,
            alignment_bytes=self._storage.alignment(parameters.io_mode, parameters.io_chunk_kib),
        )

    def _check_space(self, parameters: Parameters) -> None:
        not_fitting(
            parameters,
            self._files.stored_bytes,
            self._storage.free_bytes(),
            self._site.memory_bytes,
            len(self._files.written),
        )

    def _slots(self, parameters: Parameters) -> Sequence[int]:
        """Return the numbers of all checkpoints, those that are listed in a read phase."""
        if parameters.phase == "read":
            return sorted(self._files.written)
        return range(1, parameters.num_checkpoints_write + 1)

    def reads_again(self, parameters: Parameters, reads: int) -> int:
        """Return how many of so many reads are of a checkpoint that was read before."""
        return max(0, reads - (len(self._slots(parameters)) or parameters.num_checkpoints_read))

    def end_reads(self, parameters: Parameters) -> None:
        """Note that all planned reads of a case were right, of earlier parts of the run too."""
        if parameters.phase == "read":
            self._left.was_read(is_last=True, is_right=True)

    def lost(
        self, parameters: Parameters, kind: Kind, finished: int, planned: int
    ) -> tuple[Sequence[int], str]:
        """Return the checkpoints that any rank lacks before trials go on, and why; collective.

        `finished` trials of the case, of the `planned` ones, were run by earlier parts of the run.
        """
        if parameters.phase == "read" and finished < planned and not self._files.written:
            self._left.find()  # says what is missing
        wanted = needed(self._slots(parameters), kind, parameters.phase, finished, planned)
        mine = {slot for slot in wanted if not self._files.is_complete(slot)}
        problem = f"{self._place}: {self._left.problem or 'they are not listed'}" if mine else ""
        lost = self._ranks.bcast(self._ranks.merge(mine, set.union)) or set()
        problems = self._ranks.bcast(self._ranks.gather(problem)) or []
        return sorted(lost), next(filter(None, problems), "")

    def write_again(self, parameters: Parameters, kind: Kind, slots: Sequence[int]) -> None:
        """Write lost checkpoints unmeasured, before reads or the other writes."""
        for slot in slots:
            if parameters.phase == "write":
                self._left.withdraw(slot, self._last_write_at)
            self._write_unmeasured(parameters, slot)
            self.has_rewritten = self.has_rewritten or kind == "read"

    def _ensure_written(self, parameters: Parameters, slot: int) -> None:
        """Write a checkpoint that is to be read and that this session has not written."""
        is_missing = self._ranks.merge(not self._files.is_complete(slot), _either)
        if self._ranks.bcast(is_missing):
            self._write_unmeasured(parameters, slot)
            self.has_rewritten = True

    def _write_unmeasured(self, parameters: Parameters, slot: int) -> None:
        with placed(self._place):
            again = self._run(parameters, "write", slot)
            if again.failure is not None:
                raise again.failure
        self._note_written(parameters)
        self._drop_left(parameters, slot)

    def _drop_left(self, parameters: Parameters, slot: int) -> None:
        """Drop the pages that uncached transfers have left, in no time that is measured.

        The kernel keeps those that it had before, or writes back in an interrupt.
        """
        if self._storage.mode(parameters.io_mode) == "uncached":
            with placed(self._place):
                self._files.drop(slot, FileIo("uncached"))

    def _note_written(self, parameters: Parameters) -> None:
        """Note that a write has ended, and list it for a read phase."""
        self._last_write_at = time.time()
        if parameters.phase == "write":
            self._left.list_written(self._last_write_at)

    def _hand_over(self, parameters: Parameters, trial: int, slot: int) -> DroppedFiles | None:
        """Run the user's command and drop caches before a read; also before it is read again.

        None if the checkpoint was neither written nor read since.
        """
        if slot in self._dropped:
            return None
        with placed(self._place), self._log.record("caches_dropped", trial):
            if parameters.call_out is not None and self._site.is_first_on_host:
                run_call_out(parameters.call_out)
            self._ranks.barrier()
            self._dropped = {*self._files.written}
            return drop(self._files.paths(), is_wanted=parameters.drop_caches)

    def _ceiling(self, parameters: Parameters, kind: Kind) -> Ceiling | None:
        """Return the ceiling of writes or reads, which is measured before the first of them."""
        if kind not in self._ceilings:
            mode = self._storage.mode(parameters.io_mode)
            chosen = parameters.io_queue
            self.watch.begin("calibration", None)
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

    def _data_to_memory(self, parameters: Parameters, kind: Kind) -> float | None:
        """Return the bytes of all checkpoints ÷ memory: of reads, of those that were written."""
        memory = self._site.memory_bytes
        written = len(self._files.written)
        count = written if kind == "read" else parameters.num_checkpoints_write
        return count * self._files.tensor_bytes / memory if memory else None

    def _since_last_write(self) -> float | None:
        at = self._last_write_at
        return None if at is None else max(0.0, time.time() - at)


def _both(one: bool, other: bool) -> bool:  # noqa: FBT001 - values that ranks add up
    return one and other


def _either(one: bool, other: bool) -> bool:  # noqa: FBT001 - values that ranks add up
    return one or other
