"""Checkpoints that a write phase leaves for a read phase: listed, found, and given up when read."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mlpstorage_bench.checkpointing.config.parameters import Parameters
from mlpstorage_bench.checkpointing.runner.manifest import (
    ListedFile,
    Manifest,
    parameters_of_files,
)
from mlpstorage_bench.checkpointing.runner.share_files import ShareFiles
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.process.removal import MANIFEST
from mlpstorage_bench.results.tree import remove_files
from mlpstorage_bench.storage.directory import RankDirectory
from mlpstorage_bench.storage.own_files import size_of_own
from mlpstorage_bench.storage.store import StoredEntry

PREFIX = "checkpoint_rank"
"""Beginning of the names of directories of ranks: another type's may lie beside them."""


class LeftCheckpoints:
    """A rank's part of the checkpoints that stay in its directory between the phases."""

    def __init__(
        self,
        parameters: Parameters,
        ranks: TrialRanks,
        directory: RankDirectory,
        files: ShareFiles,
        seed: int,
        run_id: str,
    ) -> None:
        """`seed` is that of the content of files, and `run_id` the name of the run that opens."""
        self._parameters = parameters
        self._ranks = ranks
        self._directory = directory
        self._files = files
        self._seed = seed
        self._run_id = run_id
        self._are_right = True
        """Whether no read of the phase has failed or found other data."""
        self.problem = ""
        """Why checkpoints of the run that goes on were not taken up; '' if they were."""

    def list_written(self, ended_at: float) -> None:
        """List what was written until then, and leave it when the session ends, or is killed."""
        if not self._files.written:
            remove_files([self._directory.path / MANIFEST])
            self._directory.leaves = False
            return
        Manifest(
            parameters=parameters_of_files(self._parameters.model_dump(mode="json")),
            ranks=self._ranks.size,
            seed=self._seed,
            ended_at=ended_at,
            checkpoints={
                number: [ListedFile.of(entry) for entry in entries.values()]
                for number, entries in self._files.written.items()
            },
            run_id=self._run_id or None,
        ).write(self._directory.path)
        self._directory.leaves = True

    def withdraw(self, checkpoint: int, ended_at: float | None) -> None:
        """Take a checkpoint off the list before it is written again."""
        if self._files.written.pop(checkpoint, None) is not None:
            assert ended_at is not None, "it was written"
            self.list_written(ended_at)

    def take_up(self) -> float | None:
        """Take up what earlier parts of this run have listed.

        Return when the last of it was written; None if there is nothing. `problem` then says why.
        """
        found = self._own_list()
        for number, files in ({} if found is None else found.checkpoints).items():
            entries = {file.name: file.entry for file in files}
            if not self._misfits(number, entries.values()):
                self._files.written[number] = entries
            else:
                self.problem = f"files of checkpoint {number} are missing or have other sizes"
        return None if found is None or not self._files.written else found.ended_at

    def remove_others(self, ended_at: float | None) -> None:
        """Remove what the rank has not taken up, of any run; `ended_at` is of what it has."""
        self.list_written(ended_at or 0.0)
        self._directory.remove_all_but([MANIFEST, *self._taken_up])

    @property
    def other_bytes(self) -> int:
        """The bytes that `remove_others` frees on this rank."""
        return size_of_own(self._directory.path, [MANIFEST, *self._taken_up])

    def mean_bytes(self) -> int:
        """Return the mean bytes of ranks' directories, all on one filesystem."""
        own, ranks = self._directory.path, range(self._ranks.size)
        directories = (own.with_name(f"{PREFIX}_{rank}") for rank in ranks)
        return sum(map(size_of_own, directories)) // self._ranks.size

    @property
    def _taken_up(self) -> list[str]:
        """Names of the directories of checkpoints that the rank has."""
        return [self._files.directory(number).name for number in self._files.written]

    def _own_list(self) -> Manifest | None:
        """Return the list of this run in the directory; None without one, and set `problem`."""
        path = self._directory.path / MANIFEST
        if not self._directory.has_list:
            self.problem = f"{path} does not exist"
            return None
        try:
            found = Manifest.of_file(path)
        except InvalidInputError as error:
            self.problem = str(error)
            return None
        if found.run_id != self._run_id:
            self.problem = f"{path} is of another run"
            return None
        return found

    def find(self) -> Manifest:
        """Find what a write phase has left, and return its list; InvalidInputError if unusable.

        It stays until all reads of the phase were right.
        """
        self._directory.leaves = True
        found = Manifest.read(self._directory.path)
        found.check(parameters_of_files(self._parameters.model_dump(mode="json")), self._ranks.size)
        for number, files in found.checkpoints.items():
            self._files.written[number] = self._checked(number, files)
        self._check_are_of_one_run(found)
        self._keep_common()
        return found

    def was_read(self, *, is_last: bool, is_right: bool) -> None:
        """Give the files up after the last planned read, if all reads were right."""
        self._are_right = self._are_right and is_right
        self._directory.leaves = not (is_last and self._are_right)

    def _misfits(self, number: int, entries: Collection[StoredEntry]) -> list[str]:
        """Return the files of a listed checkpoint that are not as listed, or not as planned."""
        return [*self._files.misfits(entries), *self._files.changed(number, entries)]

    def _checked(self, number: int, files: Sequence[ListedFile]) -> dict[str, StoredEntry]:
        """Return the files of a listed checkpoint by name, if they can be read."""
        entries = {file.name: file.entry for file in files}
        misfits = self._misfits(number, entries.values())
        if misfits:
            raise InvalidInputError(
                "phase",
                "read",
                "checkpoints that a run with phase=write has left as they were listed",
                hint=f"Checkpoint {number} lacks {misfits[0]}, or its size is another",
            )
        if self._parameters.verify_rate and not all(one.digests for one in entries.values()):
            raise InvalidInputError(
                "verify_rate",
                self._parameters.verify_rate,
                "0 where the write phase had verify_rate=0",
                hint=f"Checkpoint {number} was written without digests, so that its reads "
                "cannot be checked",
            )
        return entries

    def _check_are_of_one_run(self, found: Manifest) -> None:
        """Raise InvalidInputError on all ranks if the list of one is of another run."""
        mine = {found.run_id or "a run without a name"}
        runs = self._ranks.bcast(self._ranks.merge(mine, set.union))
        check_one_run(runs or mine)

    def _keep_common(self) -> None:
        """Forget checkpoints that other ranks have not completed; at least those to read stay."""
        written = self._files.written
        common = self._ranks.bcast(self._ranks.merge({*written}, set.intersection))
        assert common is not None, "rank 0 has sent it"
        for number in written.keys() - common:
            del written[number]
        wanted = self._parameters.num_checkpoints_read
        if wanted > len(written):
            raise InvalidInputError(
                "num_checkpoints_read",
                wanted,
                f"at most {len(written)}, the checkpoints that the write phase has left",
                hint="Reading one again does not count as another checkpoint. Read fewer, or "
                "write as many with phase=write",
            )


def check_one_run(runs: Collection[str]) -> None:
    """Raise InvalidInputError if the ranks have lists of several runs."""
    if len(runs) > 1:
        raise InvalidInputError(
            "phase",
            "read",
            "checkpoints that one run has left on all ranks",
            hint=f"The lists of the ranks are of {', '.join(sorted(runs))}: name the hosts of "
            "one of them, or write the checkpoints again with phase=write",
        )
