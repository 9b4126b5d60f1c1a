"""Index over metadata files: one SQLite file beside them, built from nothing else.

It uses the rollback journal, not WAL: results are on shared filesystems too, and a reader then
needs no write access. A transaction holds whole runs, so that a killed process leaves no partial
run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from mlpstorage_bench.history.index_file import INDEX_NAME, check_owner, make_file
from mlpstorage_bench.history.metadata_files import FileState
from mlpstorage_bench.history.queries import Queries, batches, marks
from mlpstorage_bench.history.reading import RunFile
from mlpstorage_bench.history.schema import prepare
from mlpstorage_bench.metric.declaration import Description, Shown

BUSY_TIMEOUT_S = 30.0
"""Time that a writer waits for another."""
IN_MEMORY = ":memory:"

Content = RunFile | str
"""Content of a file: a run, or the reason why it is not one."""


class Index(Queries):
    """Open index; methods raise sqlite3.DatabaseError if its file cannot be used.

    UntrustedIndexError when it is opened if another user could have written it.
    """

    def __init__(self, results_dir: Path, *, in_memory: bool = False) -> None:
        self.in_memory = in_memory
        file = IN_MEMORY if in_memory else str(results_dir / INDEX_NAME)
        if not in_memory:
            check_owner(results_dir)
            make_file(results_dir)
        connection = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        super().__init__(connection, results_dir)
        try:
            self._connection.execute("PRAGMA foreign_keys = ON")
            prepare(self._connection)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        """Return the index."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def copy_of(self, results_dir: Path) -> None:
        """Copy the content of a directory's index file, which may be read-only."""
        uri = f"{(results_dir / INDEX_NAME).absolute().as_uri()}?mode=ro"
        source = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)
        try:
            source.backup(self._connection)
        finally:
            source.close()
        prepare(self._connection)

    # writing

    def write(self, files: Iterable[tuple[FileState, Content]], gone: Collection[str] = ()) -> None:
        """Replace the content of files, and drop others: all or nothing."""
        with self._transaction() as connection:
            for path in gone:
                connection.execute("DELETE FROM files WHERE path = ?", (path,))
            for state, content in files:
                connection.execute("DELETE FROM files WHERE path = ?", (state.path,))
                problem = content if isinstance(content, str) else None
                row = (state.path, state.path.rpartition("/")[0], *state[1:], problem)
                file = connection.execute(
                    "INSERT INTO files (path, folder, size_bytes, modified_ns, folder_modified_ns, "
                    "problem) VALUES (?, ?, ?, ?, ?, ?)",
                    row,
                ).lastrowid
                if isinstance(content, RunFile):
                    self._enter(int(file or 0), content)

    def _enter(self, file: int, content: RunFile) -> None:
        run, connection = content.run, self._connection
        connection.execute(
            "INSERT INTO runs (file, run_id, started_s, benchmark_type, model, mode, branch, "
            "system_fingerprint, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(file, run.run_id, run.started.timestamp(), run.benchmark_type, run.model),
                *(run.mode, run.branch, run.system_fingerprint, run.facts_text()),
            ),
        )
        hosts = [(file, host) for host in dict.fromkeys(run.hosts)]
        connection.executemany("INSERT INTO run_hosts VALUES (?, ?)", hosts)
        tags = [(file, tag) for tag in dict.fromkeys(run.tags)]
        connection.executemany("INSERT INTO run_tags VALUES (?, ?)", tags)
        tests = {case.name: (case.test, case.workload_fingerprint) for case in run.cases}
        names = dict.fromkeys([*tests, *(number.case for number in content.measured)])
        keys = {
            name: connection.execute(
                "INSERT INTO cases (file, name, ranks, test, workload_fingerprint) "
                "VALUES (?, ?, ?, ?, ?)",
                (file, name, run.num_processes or 0, *tests.get(name, (None, None))),
            ).lastrowid
            for name in names
        }
        metrics = self._keys_of_metrics(
            {number.metric for number in content.measured}, content.described
        )
        connection.executemany(
            "INSERT OR REPLACE INTO measured VALUES (?, ?, ?, ?)",
            [(keys[n.case], metrics[n.metric], n.trial, n.value) for n in content.measured],
        )

    def _keys_of_metrics(
        self, names: Collection[str], described: Mapping[str, Description]
    ) -> Mapping[str, int]:
        """Add metrics and return their keys; the first description of a metric stays."""
        rows = [
            (one.name, one.unit.name, one.title, place if one.shown >= Shown.LISTS else None)
            for place, one in enumerate(described.values())
            if one.name in names
        ]
        rows += [(name, "", "", None) for name in names if name not in described]
        self._connection.executemany(
            "INSERT INTO metrics (name, unit, title, place) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET unit = excluded.unit, title = excluded.title, "
            "place = excluded.place WHERE metrics.title = '' AND excluded.title != ''",
            rows,
        )
        keys: dict[str, int] = {}
        for some in batches(list(names)):
            found = self._connection.execute(
                f"SELECT name, key FROM metrics WHERE name IN ({marks(some)})",  # noqa: S608 - question marks
                some,
            )
            keys.update(found)
        return keys

    def clear(self) -> None:
        """Drop all content."""
        with self._transaction() as connection:
            for table in ("measured", "metrics", "cases", "run_hosts", "run_tags", "runs", "files"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own

    def _transaction(self) -> _Transaction:
        return _Transaction(self._connection)


class _Transaction:
    """Write transaction, rolled back on an error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._connection.execute("COMMIT")
        elif self._connection.in_transaction:  # a full disk has ended it already
            self._connection.execute("ROLLBACK")
