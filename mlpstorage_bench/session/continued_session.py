"""The runs of an interrupted session that this one continues: those of one type and model.

A closed training leaves several runs in one session: those that have ended are taken up with their
trials, the one that was interrupted goes on, and those that are missing are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.past_run import RUNNING, PastRun, status_now
from mlpstorage_bench.history.reading import NoRunError, read_metadata, run_of
from mlpstorage_bench.history.rerun import RERUN_OPTION, other_writer
from mlpstorage_bench.history.resume import RESUME_OPTION
from mlpstorage_bench.paths import look_up
from mlpstorage_bench.results.consecutive_runs import late_start
from mlpstorage_bench.results.kept_trials import beside, elsewhere
from mlpstorage_bench.results.parts_record import PartRecord
from mlpstorage_bench.results.run_metadata import RunMetadata, moment
from mlpstorage_bench.results.tree import METADATA_SUFFIX
from mlpstorage_bench.session.resumption import Resumption, resumption_of, resumption_with


@dataclass
class ContinuedSession:
    """An interrupted session, on rank 0."""

    runs: tuple[Resumption, ...]
    """Its runs of one type and model, in the order of their start; at least one."""
    began: datetime
    """Start of the session that continues it."""
    unreadable: tuple[str, ...] = ()
    """Files beside its runs that cannot be read, with the reasons: they may be of its runs."""
    unfinished: tuple[PastRun, ...] = ()
    """Runs of other types or models that have not ended either, and are not continued."""
    _taken: int = field(default=0, init=False)
    """Number of runs that were taken."""

    @property
    def session_id(self) -> str | None:
        """The id that joins its runs; None in old metadata."""
        return self.runs[0].session_id

    @property
    def benchmark_type(self) -> str:
        """The type of its runs."""
        return self.runs[0].benchmark_type

    def take(self, benchmark_type: str, model: str) -> Resumption | None:
        """Return the run that the next run of a type and model continues; None for a new one.

        The first is returned for any: a session that files it elsewhere is refused.
        """
        if self._taken == len(self.runs):
            return None
        found = self.runs[self._taken]
        if self._taken and (found.benchmark_type, found.model) != (benchmark_type, model):
            return None
        self._taken += 1
        return replace(found, part_started=datetime.now().astimezone())

    def lines(self) -> Iterator[str]:
        """Yield what is done, and whether the interruption was too long, in sentences."""
        for problem in self.unreadable:
            yield f"left out, as it cannot be read: {problem}"
        for run in self.unfinished:
            yield (
                f"run {run.run_id} of the interrupted session ({run.benchmark_type}, {run.model}) "
                f"is unfinished, too, and is not continued here. To finish it: "
                f"{RESUME_OPTION}={run.run_id}"
            )
        if len(self.runs) == 1:
            yield str(self.runs[0])
            return
        finished = sum(run.last is not None for run in self.runs)
        yield (
            f"session {self.session_id} goes on: {finished} of its runs have ended and are not run "
            "again"
        )
        yield from self._too_late()

    def _too_late(self) -> Iterator[str]:
        """Yield that the runs will not follow each other, as far as earlier ones tell."""
        ended = [run for run in self.runs if run.last is not None]
        if not ended:
            return
        before, last = ended[-1], self.runs[-1]
        interrupted = moment(_end_of(last.earlier[-1]))
        idle_s = (self.began - interrupted).total_seconds()
        lasted_s = before.runtime_before_s
        late = late_start(before.timestamp, lasted_s, 0.0, idle_s)
        if late:
            yield (
                f"WARNING: the session was interrupted for {idle_s:.0f} s, and run "
                f"{before.timestamp} took {lasted_s:.0f} s: by rule 2.1.18 its runs will not count "
                f"together. For a submission, stop now and run all again: "
                f"{RERUN_OPTION}={before.run_id}"
            )


def _end_of(part: PartRecord) -> str:
    return part.ended or part.started


def continued_session(metadata_path: Path, now: datetime) -> ContinuedSession:
    """Return the session of a run, to be continued now; InvalidInputError if it cannot be."""
    named = resumption_of(metadata_path, now)
    if named.session_id is None:
        return ContinuedSession((named,), now)
    unreadable: list[str] = []
    runs = tuple(_runs_of(named, now, unreadable))
    return ContinuedSession(runs, now, tuple(unreadable), tuple(_unfinished(named)))


def _runs_of(named: Resumption, now: datetime, unreadable: list[str]) -> Iterator[Resumption]:
    """Yield the runs of a run's session that lie beside it, and that run itself, by their times.

    If one is missing, the next one is refused for its place in the session. What cannot be read is
    added to `unreadable`, in words: it may be of another session.
    """
    own = named.metadata_path.parent
    for directory in sorted({own, *beside(own)}):
        if directory == own:
            yield named
            continue
        path = directory / f"{named.benchmark_type}_{directory.name}{METADATA_SUFFIX}"
        try:
            metadata = _own_metadata(path)
        except (InvalidInputError, NoRunError) as error:
            unreadable.append(str(error))
            continue
        if metadata is not None and metadata.own.session_id == named.session_id:
            yield resumption_with(metadata, path, now)


def _unfinished(named: Resumption) -> Iterator[PastRun]:
    """Yield the runs of a run's session that lie elsewhere, have not ended and do not run.

    What cannot be read is left out: it is most likely of another session.
    """
    for benchmark_type, directory in sorted(
        elsewhere(named.metadata_path.parent, named.benchmark_type)
    ):
        path = directory / f"{benchmark_type}_{directory.name}{METADATA_SUFFIX}"
        with suppress(InvalidInputError, NoRunError):
            metadata = _own_metadata(path)
            if metadata is not None and metadata.own.session_id == named.session_id:
                run = run_of(metadata, path).run
                if status_now(run) != RUNNING:
                    yield run


def _own_metadata(path: Path) -> RunMetadata | None:
    """Return the metadata in a file of this user; None without one."""
    file = look_up(RESUME_OPTION, path)
    return None if file is None or other_writer(file) is not None else read_metadata(path)
