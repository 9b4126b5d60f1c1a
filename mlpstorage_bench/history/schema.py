"""Schema of the index's SQLite file, and migrations from older versions.

`user_version` is the number of migrations that a file has had. The index is built from metadata
files alone: a migration that needs more of their content resets the times at which they were read,
so that they are read again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

APPLICATION_ID = 0x6D6C7073
"""'mlps', in the header of our files."""

Migration = Sequence[str]

READ_EVERYTHING_AGAIN = "UPDATE files SET modified_ns = -1, folder_modified_ns = -1"

MIGRATIONS: Sequence[Migration] = (
    (
        """
        CREATE TABLE files (
            key INTEGER PRIMARY KEY,
            path TEXT NOT NULL UNIQUE,      -- below the results directory
            folder TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            modified_ns INTEGER NOT NULL,
            folder_modified_ns INTEGER NOT NULL,
            problem TEXT                    -- why it is no run; NULL for one
        )
        """,
        """
        CREATE TABLE runs (
            file INTEGER PRIMARY KEY REFERENCES files ON DELETE CASCADE,
            run_id TEXT NOT NULL,
            started_s REAL NOT NULL,
            benchmark_type TEXT NOT NULL,
            model TEXT NOT NULL,
            mode TEXT NOT NULL,
            facts TEXT NOT NULL             -- all that a list shows, as JSON
        )
        """,
        "CREATE INDEX runs_by_time ON runs (started_s, run_id)",
        "CREATE INDEX runs_by_id ON runs (run_id)",
        """
        CREATE TABLE run_hosts (
            file INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
            host TEXT NOT NULL,
            PRIMARY KEY (file, host)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE cases (
            key INTEGER PRIMARY KEY,
            file INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
            name TEXT NOT NULL,
            test TEXT,
            ranks INTEGER NOT NULL,
            UNIQUE (file, name)
        )
        """,
        """
        CREATE TABLE metrics (
            key INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            unit TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE measured (
            "case" INTEGER NOT NULL REFERENCES cases ON DELETE CASCADE,
            metric INTEGER NOT NULL REFERENCES metrics,
            trial INTEGER NOT NULL,         -- from 1; 0 for all of them together
            value REAL NOT NULL,
            PRIMARY KEY ("case", metric, trial)
        ) WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE run_tags (
            file INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
            tag TEXT NOT NULL,
            PRIMARY KEY (file, tag)
        ) WITHOUT ROWID
        """,
        "ALTER TABLE runs ADD COLUMN branch TEXT",
        "ALTER TABLE runs ADD COLUMN system_fingerprint TEXT",
        "ALTER TABLE cases ADD COLUMN workload_fingerprint TEXT",
        READ_EVERYTHING_AGAIN,
    ),
    # facts of a run and its cases: whether its tests passed, and what the gate said
    (READ_EVERYTHING_AGAIN,),
    (
        "DELETE FROM measured",
        "DELETE FROM metrics",
        "ALTER TABLE metrics ADD COLUMN title TEXT NOT NULL DEFAULT ''",  # '' where not described
        "ALTER TABLE metrics ADD COLUMN place INTEGER",  # in lists of runs; NULL where not shown
        READ_EVERYTHING_AGAIN,
    ),
    # metadata is validated as a whole, and a run may have no number of ranks
    (READ_EVERYTHING_AGAIN,),
    # a fact of a run: the start of rank 0's process
    (READ_EVERYTHING_AGAIN,),
    # facts of a run: its cache directories, and the storage under them
    (READ_EVERYTHING_AGAIN,),
    # figures and facts of the reference's runs, from the files beside their metadata
    (READ_EVERYTHING_AGAIN,),
    # a fact of a run: whether its own checks called it INVALID
    (READ_EVERYTHING_AGAIN,),
)


class ForeignIndexError(Exception):
    """The file is another program's database."""


class NewerIndexError(Exception):
    """A later version of this package made the index."""


def prepare(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a file's schema up to date; write nothing if it is current.

    Raises ForeignIndexError, NewerIndexError, or sqlite3.DatabaseError for a broken file.
    """
    if _version_at_once(connection, migrations) == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in migrations[_version(connection, migrations) :]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version_at_once(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> int:
    """Return the version from one state of the file, which others may be making."""
    connection.execute("BEGIN")
    try:
        return _version(connection, migrations)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> int:
    version = int(_pragma(connection, "user_version"))
    if _pragma(connection, "application_id") != APPLICATION_ID:
        if version or connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
            raise ForeignIndexError
        return 0
    if version > len(migrations):
        raise NewerIndexError
    return version


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value
