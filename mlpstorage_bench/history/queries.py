"""Questions to the index, and their answers as runs and numbers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.history.metadata_files import FileState
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.metric.declaration import Description, Shown
from mlpstorage_bench.units import unit_named

T = TypeVar("T")
_Number = (int, float)
_MOST_VALUES = 500
"""Values of one question: SQLite allows 32766, and 999 before 3.32."""


class Number(NamedTuple):
    """One number of a run."""

    case: str
    test: str
    """Node id of the case's test; '' if it has none."""
    trial: int
    """Number from 1; ALL_TRIALS for all of them together."""
    metric: str
    unit: str
    value: float


class Queries:
    """Questions to an index; methods raise sqlite3.DatabaseError if its file is damaged."""

    def __init__(self, connection: sqlite3.Connection, results_dir: Path) -> None:
        self._connection = connection
        self.results_dir = results_dir

    def _rows(
        self, question: str, values: Sequence[object], *types: type | tuple[type, ...]
    ) -> Iterator[Any]:
        """Yield the rows of an answer, whose values have these types.

        Anything else is in the file if it is damaged. Text from the command line that is not
        UTF-8 equals none of the index.
        """
        given = [_storable(value) for value in values]
        try:
            for row in self._connection.execute(question, given):
                if not all(map(isinstance, row, types)):
                    raise sqlite3.DatabaseError(f"unexpected values: {row!r:.100}")
                yield row
        except UnicodeDecodeError as error:
            raise sqlite3.DatabaseError(f"a text is not UTF-8: {error.reason}") from error

    def files(self) -> list[FileState]:
        """Return every file of the index, with its state when it was read."""
        rows = self._rows(
            "SELECT path, size_bytes, modified_ns, folder_modified_ns FROM files ORDER BY path",
            (),
            *(str, int, int, int),
        )
        return [FileState(*row) for row in rows]

    def problems(self) -> list[str]:
        """Return a line for each file that is not a run's metadata."""
        rows = self._rows(
            "SELECT path, problem FROM files WHERE problem IS NOT NULL ORDER BY path",
            (),
            *(str, str),
        )
        return [f"{self.results_dir / path}: {problem}" for path, problem in rows]

    def runs(self, wanted: RunFilter) -> Iterator[PastRun]:
        """Yield runs, newest first; the caller applies `last` and `status`."""
        condition, values = wanted.conditions()
        rows = self._rows(
            "SELECT files.path, runs.facts FROM runs JOIN files ON files.key = runs.file "  # noqa: S608 - a condition of our own, its values apart
            f"WHERE {condition} ORDER BY runs.started_s DESC, runs.run_id DESC, files.path DESC",
            values,
            *(str, str),
        )
        root = str(self.results_dir)
        for path, facts in rows:
            try:
                yield PastRun.of_facts(facts, f"{root}/{path}")
            except ValueError as error:
                raise sqlite3.DatabaseError(f"facts of {path}") from error

    def run_ids(self, beginning: str) -> list[tuple[str, Path]]:
        """Return the runs whose id begins so, with their metadata files."""
        rows = self._rows(
            "SELECT runs.run_id, files.path FROM runs JOIN files ON files.key = runs.file "
            "WHERE substr(runs.run_id, 1, ?) = ? ORDER BY runs.run_id, files.path",
            (len(beginning), beginning),
            *(str, str),
        )
        return [(run_id, self.results_dir / path) for run_id, path in rows]

    def values(self, run_ids: Sequence[str], case: str, metric: str) -> dict[str, dict[int, float]]:
        """Return a metric's values: run → trial → value, ALL_TRIALS among the trials."""
        found: dict[str, dict[int, float]] = {}
        for some in batches(run_ids):
            rows = self._rows(
                "SELECT runs.run_id, measured.trial, measured.value FROM runs "  # noqa: S608 - question marks
                "JOIN cases ON cases.file = runs.file AND cases.name = ? "
                'JOIN measured ON measured."case" = cases.key '
                "AND measured.metric = (SELECT key FROM metrics WHERE name = ?) "
                f"WHERE runs.run_id IN ({marks(some)}) ORDER BY measured.trial",
                (case, metric, *some),
                *(str, int, _Number),
            )
            for run_id, trial, value in rows:
                found.setdefault(run_id, {})[trial] = value
        return found

    def measured_in(self, path: Path) -> list[Number]:
        """Return every number of a run."""
        rows = self._rows(
            "SELECT cases.name, coalesce(cases.test, ''), measured.trial, metrics.name, "
            "metrics.unit, measured.value FROM files JOIN cases ON cases.file = files.key "
            'JOIN measured ON measured."case" = cases.key '
            "JOIN metrics ON metrics.key = measured.metric WHERE files.path = ? "
            "ORDER BY cases.key, metrics.name, measured.trial",
            (path.relative_to(self.results_dir).as_posix(),),
            *(str, str, int, str, str, _Number),
        )
        return [Number(*row) for row in rows]

    def metrics(self) -> dict[str, str]:
        """Return every metric that any run has, with its unit."""
        return dict(self._rows("SELECT name, unit FROM metrics ORDER BY name", (), str, str))

    def listed(self) -> list[Description]:
        """Return the metrics that lists of runs show, in the order of their columns."""
        rows = self._rows(
            "SELECT name, title, unit FROM metrics WHERE place IS NOT NULL ORDER BY place, name",
            (),
            *(str, str, str),
        )
        return [
            Description(name, title, unit_named(unit), shown=Shown.LISTS)
            for name, title, unit in rows
        ]

    def cases_with(self, metric: str) -> list[str]:
        """Return the cases that have a metric, in any run."""
        rows = self._rows(
            'SELECT DISTINCT cases.name FROM measured JOIN cases ON cases.key = measured."case" '
            "WHERE measured.metric = (SELECT key FROM metrics WHERE name = ?) ORDER BY cases.name",
            (metric,),
            str,
        )
        return [name for (name,) in rows]


def batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the values in parts, each of which one question may have."""
    for start in range(0, len(values), _MOST_VALUES):
        yield values[start : start + _MOST_VALUES]


def marks(values: Sequence[object]) -> str:
    """Return a question mark for each value, for a condition on a list of them."""
    return ", ".join("?" * len(values))


def _storable(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
