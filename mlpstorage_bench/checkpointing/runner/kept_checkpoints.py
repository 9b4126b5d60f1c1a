"""Checkpoints that a rank has: of this session, of the run that goes on, or of a write phase."""

from __future__ import annotations

import operator
import time
from collections.abc import Sequence

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.checkpointing.config.parameters import Kind, Parameters
from mlpstorage_bench.checkpointing.runner.left_checkpoints import LeftCheckpoints
from mlpstorage_bench.checkpointing.runner.lost_checkpoints import needed, slot_of
from mlpstorage_bench.checkpointing.runner.share_files import ShareFiles
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.directory import RankDirectory


class KeptCheckpoints:
    """Which checkpoints a rank has, and when the last of them was written."""

    def __init__(
        self,
        parameters: Parameters,
        ranks: TrialRanks,
        site: RankSite,
        directory: RankDirectory,
        files: ShareFiles,
        *,
        seed: int,
        place: str,
    ) -> None:
        """`parameters` are those of the session, and `seed` that of the content of its files.

        `place` is this rank and its host, for messages.
        """
        self._parameters = parameters
        self._ranks = ranks
        self._site = site
        self._files = files
        self._place = place
        self._directory = directory
        self._left = LeftCheckpoints(
            parameters, ranks, directory, files, seed=seed, run_id=site.run_id
        )
        self._has_others = parameters.phase != "read"
        """Whether the directory may have files of other runs, which this one does not use."""
        self._last_write_at: float | None = None
        """When the last write of a checkpoint ended (seconds since the epoch)."""

    def find(self) -> int | None:
        """Find what earlier parts of the run, or a write phase, have left; collective.

        Return the seed of the content that is to be read; None where this session writes it.
        InvalidInputError if a read phase cannot use what it finds.
        """
        phase = self._parameters.phase
        if phase == "write" and self._site.is_resumed:
            self._last_write_at = self._left.take_up()
        if phase != "read" or self._have_all_read():
            return None
        found = self._left.find()
        self._last_write_at = found.ended_at
        return found.seed

    def remove_others(self) -> None:
        """Remove what other runs have left, once this one begins a case; StorageError on failure.

        Until then the run may yet be refused, and leave everything as it was.
        """
        if self._has_others:
            self._left.remove_others(self._last_write_at)
            self._has_others = False

    @property
    def other_bytes(self) -> int:
        """Bytes that `remove_others` frees for this rank.

        Where all ranks share a filesystem, and a run begins, it is the mean of all ranks.
        """
        if not self._has_others:
            return 0
        if self._site.is_resumed or self._site.sharers < self._ranks.size:
            return self._left.other_bytes
        return self._left.mean_bytes()

    def _have_all_read(self) -> bool:
        """Whether a run goes on that had ended its reads, and removed the files on all ranks."""
        is_gone = self._site.is_resumed and not self._directory.has_list
        return self._ranks.bcast(self._ranks.merge(is_gone, operator.and_)) or False

    @property
    def _slots(self) -> Sequence[int]:
        """The numbers of all checkpoints, those that are listed in a read phase."""
        if self._parameters.phase == "read":
            return sorted(self._files.written)
        return range(1, self._parameters.num_checkpoints_write + 1)

    def slot(self, trial: int) -> int:
        """Return the checkpoint that a trial, from 1, writes or reads."""
        return slot_of(self._slots, trial)

    def is_lacking(self, slot: int) -> bool:
        """Whether a rank has not all files of a checkpoint; collective."""
        is_missing = self._ranks.merge(not self._files.is_complete(slot), operator.or_)
        return self._ranks.bcast(is_missing) or False

    def lost(self, kind: Kind, finished: int, planned: int) -> tuple[Sequence[int], str]:
        """Return the checkpoints that any rank lacks before trials go on, and why; collective.

        `finished` trials of the case, of the `planned` ones, were run by earlier parts of the run.
        """
        phase = self._parameters.phase
        if phase == "read" and finished < planned and not self._files.written:
            self._left.find()  # says what is missing
        wanted = needed(self._slots, kind, phase, finished, planned)
        mine = {slot for slot in wanted if not self._files.is_complete(slot)}
        problem = f"{self._place}: {self._left.problem or 'they are not listed'}" if mine else ""
        lost = self._ranks.bcast(self._ranks.merge(mine, set.union)) or set()
        problems = self._ranks.bcast(self._ranks.gather(problem)) or []
        return sorted(lost), next(filter(None, problems), "")

    def begin_write(self, slot: int) -> None:
        """Take a checkpoint that is written again off the list for a read phase."""
        if self._parameters.phase == "write":
            self._left.withdraw(slot, self._last_write_at)

    def end_write(self) -> None:
        """Note that a write has ended, and list it for a read phase."""
        self._last_write_at = time.time()
        if self._parameters.phase == "write":
            self._left.list_written(self._last_write_at)

    def since_last_write_s(self) -> float | None:
        """Return the seconds since the last write; None if nothing was written."""
        at = self._last_write_at
        return None if at is None else max(0.0, time.time() - at)

    def was_read(self, *, is_last: bool, is_right: bool) -> None:
        """Give up what a write phase has left, after the last read that is planned."""
        if self._parameters.phase == "read":
            self._left.was_read(is_last=is_last, is_right=is_right)

    def end_reads(self) -> None:
        """Note that all planned reads of a case were right, of earlier parts of the run too."""
        self.was_read(is_last=True, is_right=True)

    def reads_again(self, reads: int) -> int:
        """Return how many of so many reads are of a checkpoint that was read before."""
        return max(0, reads - (len(self._slots) or self._parameters.num_checkpoints_read))
