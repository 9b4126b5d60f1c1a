"""Earlier runs of a results directory: queries of the index, which is updated first.

The index is derived from the metadata files. An index that is broken, or belongs to another
program, is moved aside and built again. If no index can be written, or another user has written it,
the files are read instead. A remark reports this once.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

from mlpstorage_bench.errors import InvalidInputError, MlpsError
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.history.index import Content, Index
from mlpstorage_bench.history.index_file import INDEX_NAME, UntrustedIndexError, set_aside
from mlpstorage_bench.history.metadata_files import FileState, MetadataFiles, state_of
from mlpstorage_bench.history.past_run import PastRun, newest_measured
from mlpstorage_bench.history.queries import Number
from mlpstorage_bench.history.reading import ALL_TRIALS, NoRunError, read_run
from mlpstorage_bench.history.schema import ForeignIndexError, NewerIndexError
from mlpstorage_bench.metric.declaration import Description

T = TypeVar("T")

_BATCH = 256
"""Number of files in one transaction, which limits the wait of another process."""
_MOST_NAMED = 5
_AN_ID = "the id of a run, its beginning, or latest"
LATEST = "latest"
"""Word that stands for the id of the newest run that measured, or of the newest one of all."""
_LEAST_OF_TIMESTAMP = len("YYYYMMDD")
"""Characters of an id by which a file that was skipped is found."""
_NO_FAULT_OF_THE_FILE = frozenset(
    {
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY),
        *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL),
        *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOLFS),
    }
)
"""Errors that a new index in the same place would have too."""


class HistoryError(MlpsError):
    """The earlier runs of a directory cannot be searched."""


class History:
    """Earlier runs of a results directory; a context manager."""

    def __init__(self, results_dir: Path, *, rebuild: bool = False) -> None:
        self.results_dir = results_dir.absolute()
        self.remarks: list[str] = []
        """Remarks about the index, for the user."""
        self._unreadable: list[str] = []
        self._index = self._open()
        if rebuild:
            self._ask(Index.clear)
        self._ask(self._update)

    def __enter__(self) -> Self:
        """Return the history."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the index."""
        self._index.close()

    # queries

    def runs(self, wanted: RunFilter | None = None) -> list[PastRun]:
        """Return the runs that a filter selects, oldest first."""
        wanted = wanted or RunFilter()

        def newest_first(index: Index) -> list[PastRun]:
            runs = index.runs(wanted)
            if wanted.status is not None:
                runs = (run for run in runs if run.status == wanted.status)
            return list(islice(runs, wanted.last))

        return self._ask(newest_first)[::-1]

    def values(self, run_ids: Sequence[str], case: str, metric: str) -> dict[str, dict[int, float]]:
        """Return a metric of each trial of a case: run → trial (from 1) → value.

        Runs without such a value are left out.
        """
        found = self._ask(lambda index: index.values(run_ids, case, metric))
        trials = {
            run_id: {trial: value for trial, value in values.items() if trial != ALL_TRIALS}
            for run_id, values in found.items()
        }
        return {run_id: values for run_id, values in trials.items() if values}

    def pooled(self, run_ids: Sequence[str], case: str, metric: str) -> dict[str, float]:
        """Return a metric of all trials of a case together, or else their mean: run → value."""
        found = self._ask(lambda index: index.values(run_ids, case, metric))
        return {
            run_id: values.get(ALL_TRIALS, sum(values.values()) / len(values))
            for run_id, values in found.items()
        }

    def metrics(self) -> dict[str, str]:
        """Return every metric that any run has, with its unit."""
        return self._ask(Index.metrics)

    def listed(self) -> list[Description]:
        """Return the metrics that lists of runs show, in the order of their columns."""
        return self._ask(Index.listed)

    def cases_with(self, metric: str) -> list[str]:
        """Return the cases that have a metric, in any run."""
        return self._ask(lambda index: index.cases_with(metric))

    def measured_in(self, path: Path) -> list[Number]:
        """Return every number of a run."""
        return self._ask(lambda index: index.measured_in(path))

    def find(self, source: str, given: str, accepted: str = _AN_ID) -> Path:
        """Return the metadata file of the run with this id, or with the only one that begins so.

        InvalidInputError, which names `source`, when there is none or several.
        """
        paths = self.find_copies(source, given, accepted)
        if len(paths) > 1:
            self.remarks.append(
                f"{len(paths)} directories have a run with this id; this is {paths[0]}"
            )
        return paths[0]

    def find_copies(self, source: str, given: str, accepted: str = _AN_ID) -> list[Path]:
        """Return every metadata file of the run that `find` finds."""
        if given == LATEST:
            newest = newest_measured(self.runs())
            given = given if newest is None else newest.run_id
        found = self._ids(given)
        exact = [path for run_id, path in found if run_id == given]
        run_ids = list(dict.fromkeys(run_id for run_id, _ in found))
        if exact or len(run_ids) == 1:
            return exact or [path for _, path in found]
        if run_ids:
            raise InvalidInputError(
                source,
                given,
                "an id, or a beginning that one run alone has",
                hint=f"{len(run_ids)} begin so: {_some(run_ids)}",
            )
        raise InvalidInputError(
            source,
            given,
            accepted,
            hint=self._skipped(given) or self._near(given),
        )

    def _ids(self, beginning: str) -> list[tuple[str, Path]]:
        return self._ask(lambda index: index.run_ids(beginning))

    def _skipped(self, given: str) -> str:
        """Return the file that the id seems to be of, if it was skipped, with the reason."""
        timestamp = given.partition("-")[0]
        if len(timestamp) < _LEAST_OF_TIMESTAMP:
            return ""
        return next((one for one in self.problems if timestamp in one), "")

    def _near(self, given: str) -> str:
        """Return a hint with the ids that have the longest beginning in common, newest first."""
        for length in range(len(given) - 1, 0, -1):
            ids = dict.fromkeys(run_id for run_id, _ in self._ids(given[:length]))
            if ids:
                return f"Near: {_some(list(reversed(ids)))}"
        newest = [run.run_id for run in reversed(self.runs(RunFilter(last=_MOST_NAMED)))]
        return f"The newest: {_some(newest)}" if newest else f"No runs in {self.results_dir}"

    @property
    def problems(self) -> list[str]:
        """A line for each file or directory that could not be read as a run's."""
        return [*self._ask(Index.problems), *self._unreadable]

    # keeping the index

    def _ask(self, question: Callable[[Index], T]) -> T:
        """Query the index; if it is broken, build one from the files and query that."""
        try:
            return question(self._index)
        except sqlite3.DatabaseError as error:
            if self._index.in_memory:
                raise HistoryError(
                    f"the runs in {self.results_dir} cannot be searched: {error}"
                ) from error
            self._index.close()
            if isinstance(error, sqlite3.OperationalError) and _is_elsewhere(error):
                self._index = self._in_memory(str(error), copy=_is_read_only(error))
            else:
                self._set_aside(f"broken ({error})")
                self._index = self._open()
            self._update(self._index)
            return question(self._index)

    def _open(self) -> Index:
        if not os.path.isdir(self.results_dir):  # noqa: PTH112 - False where nobody may look
            return Index(self.results_dir, in_memory=True)
        for _ in range(2):
            try:
                return Index(self.results_dir)
            except NewerIndexError:
                return self._in_memory("a later version of mlpstorage_bench made it")
            except (UntrustedIndexError, OSError) as error:
                return self._in_memory(str(error))
            except ForeignIndexError:
                self._set_aside("the database of something else")
            except sqlite3.DatabaseError as error:
                if _is_elsewhere(error):
                    return self._in_memory(str(error), copy=_is_read_only(error))
                self._set_aside(f"broken ({error})")
        return self._in_memory("it cannot be moved aside")

    def _in_memory(self, why: str, *, copy: bool = False) -> Index:
        """Return an index in memory; with `copy`, it starts from the content of the file.

        Copy only a read-only file: the copy of a file that is being written does not end.
        """
        self._remark(
            f"the index {self.results_dir / INDEX_NAME} cannot be used: {why}. The metadata files "
            "are read instead, which takes longer"
        )
        index = Index(self.results_dir, in_memory=True)
        if copy and (self.results_dir / INDEX_NAME).is_file():
            try:
                index.copy_of(self.results_dir)
            except (sqlite3.DatabaseError, ForeignIndexError, NewerIndexError):
                index.close()
                return Index(self.results_dir, in_memory=True)
        return index

    def _set_aside(self, why: str) -> None:
        file = self.results_dir / INDEX_NAME
        try:
            aside = set_aside(self.results_dir)
        except OSError as error:
            self._remark(f"the index {file} is {why}, and cannot be moved: {error.strerror}")
        else:
            self._remark(f"the index {file} was {why}. It is now {aside.name}, and made again")

    def _remark(self, text: str) -> None:
        if text not in self.remarks:
            self.remarks.append(text)

    def _update(self, index: Index) -> None:
        """Read files that are new or changed, and drop files that are gone."""
        before = index.files()
        known: dict[str, list[FileState]] = {}
        for state in before:
            known.setdefault(state.path.rpartition("/")[0], []).append(state)
        files = MetadataFiles(self.results_dir, known)
        now = files.found
        self._unreadable = list(files.problems)
        unchanged = set(before)
        changed = [state for state in now if state not in unchanged or not state.is_settled]
        gone = {state.path for state in before} - {state.path for state in now}
        if gone:
            index.write((), gone)
        for batch in _batches(changed):
            index.write([(s, read_content(self.results_dir / s.path)) for s in batch])


def read_content(path: Path) -> Content:
    """Return the run of a metadata file, or the reason why it is not one."""
    try:
        return read_run(path)
    except NoRunError as error:
        return error.reason


def enter_run(results_dir: Path, metadata: Path) -> None:
    """Add a run that has just ended to the index; raises sqlite3.DatabaseError, OSError.

    Other files of the directory are read at the next query.
    """
    try:
        with Index(results_dir.absolute()) as index:
            index.write([(state_of(results_dir, metadata), read_content(metadata))])
    except (ForeignIndexError, NewerIndexError) as error:
        raise sqlite3.DatabaseError("what lies there is no index of this version") from error
    except UntrustedIndexError as error:
        raise sqlite3.DatabaseError(str(error)) from error


def _is_elsewhere(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _NO_FAULT_OF_THE_FILE


def _is_read_only(error: sqlite3.DatabaseError) -> bool:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_READONLY


def _batches(states: Iterable[FileState]) -> Iterator[list[FileState]]:
    remaining = iter(states)
    while batch := list(islice(remaining, _BATCH)):
        yield batch


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
