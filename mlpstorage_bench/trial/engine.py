"""Base of an engine: a rank's directory, its steps and pauses, and its progress."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Self, TypeVar

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.benchmark_type.records import SequenceStep, Step
from mlpstorage_bench.errors import CapacityError, StorageError
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.progress.state import Viewer
from mlpstorage_bench.storage.directory import RankDirectory
from mlpstorage_bench.trial.counter_probe import NO_COUNTERS, UsableCounters
from mlpstorage_bench.trial.outcome import Result, Samples, TrialOutcome
from mlpstorage_bench.trial.sequence import StepLog
from mlpstorage_bench.trial.shared_directory import claimed
from mlpstorage_bench.trial.storage_modes import StorageModes
from mlpstorage_bench.trial.watch import Watch

T = TypeVar("T")


class TrialEngine(ABC):
    """Runs trials in this rank's directory. A context manager."""

    def __init__(
        self, ranks: TrialRanks, site: RankSite, directory: RankDirectory | None = None
    ) -> None:
        self._ranks = ranks
        self._site = site
        self._place = f"rank {ranks.rank} on {site.host}"
        """This rank and its host, for messages."""
        self._resources = ExitStack()
        self._directory = directory or RankDirectory(site.cache_dir, ranks.rank)
        self._counters = NO_COUNTERS
        self._cases = 0
        self._log = StepLog(ranks)
        self.watch = Watch(ranks, None, is_on=False)
        """Progress of the current case."""
        self.notes: list[str] = []
        """Notes on this rank's storage for the reader of the results."""

    @abstractmethod
    def _modes(self) -> StorageModes:
        """Return the modes of the directory's filesystem."""

    def _release(self) -> int:
        """Remove the files that the last trial left, and return their bytes."""
        return 0

    def __enter__(self) -> Self:
        self._resources.enter_context(claimed(self._directory))
        try:
            with placed(self._place):
                self.notes += self._modes().probe()
            self._counters = UsableCounters.probe(self._directory.path, self._modes().best_io_mode)
            if not self._directory.can_be_locked:
                self.notes.append(
                    f"{self._site.cache_dir} has no locks: another run in the same directory "
                    "would not be noticed"
                )
            if self._directory.can_be_replaced:
                self.notes.append(
                    f"other users can replace files in {self._site.cache_dir}: all may write "
                    "there, and it has no sticky bit"
                )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        with placed(self._place), self._resources:
            try:
                self._release()
            except KeyboardInterrupt:
                self._directory.leave_to_reaper()
                raise

    def show_to(self, viewer: Viewer | None, *, is_on: bool) -> None:
        """Show the progress from now on; `viewer` is rank 0's, `is_on` the same on every rank."""
        self.watch = Watch(self._ranks, viewer, is_on=is_on)

    @property
    def steps(self) -> tuple[SequenceStep, ...]:
        """The steps of the current case so far."""
        return self._log.steps

    @property
    def cases(self) -> int:
        """Number of cases that were begun."""
        return self._cases

    def begin_case(self) -> bool:
        """Begin a case, and return whether another one came before."""
        self._log.begin_case()
        self._cases += 1
        return self._cases > 1

    def left_of_pause(self, seconds: float) -> float:
        """Return what is left of a pause that comes now, the same on every rank.

        It is all of it, unless the pause began during the trial before.
        """
        return self._log.left_of_pause(seconds)

    def pause(
        self, step: Step, trial: int | None, seconds: float, *, overlapped_s: float = 0.0
    ) -> None:
        """Pause on all ranks together; `overlapped_s` are seconds that have passed before."""
        self._log.pause(step, trial, seconds, self.watch.tick, overlapped_s=overlapped_s)

    def share(
        self, finished: Sequence[TrialOutcome[Result, Samples]]
    ) -> list[TrialOutcome[Result, Samples]]:
        """Return finished trials, which rank 0 has, on every rank."""
        results = self._ranks.bcast([one.result for one in finished])
        return [*finished] or [TrialOutcome(result, None, None) for result in results]

    def of_root(self, value: T) -> T:
        """Return rank 0's value on every rank."""
        return self._ranks.bcast(value)


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Add the place, a rank and its host, to errors of storage and capacity."""
    try:
        yield
    except (StorageError, CapacityError) as error:
        raise error.with_place(place) from error.__cause__
