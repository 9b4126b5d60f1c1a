"""The index of runs: consistency with the metadata files after changes, crashes and damage."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpstorage_bench.history import schema
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.history.index import Index
from mlpstorage_bench.history.index_file import INDEX_NAME
from tests.past_runs import leave, leave_run, run

CONTENT = (
    "SELECT path, folder, problem FROM files ORDER BY path",
    """
    SELECT path, run_id, started_s, model, mode, branch, system_fingerprint, facts
    FROM runs JOIN files ON key = file ORDER BY path
    """,
    "SELECT path, host FROM run_hosts JOIN files ON key = file ORDER BY path, host",
    "SELECT path, tag FROM run_tags JOIN files ON key = file ORDER BY path, tag",
    """
    SELECT path, cases.name, test, ranks, workload_fingerprint, metrics.name, unit, trial, value
    FROM cases JOIN files ON files.key = file
    LEFT JOIN measured ON "case" = cases.key LEFT JOIN metrics ON metrics.key = metric
    ORDER BY 1, 2, 6, 8
    """,
)


def content_of(results: Path) -> list[Any]:
    """Return the whole content of the index, by path and name instead of keys."""
    connection = sqlite3.connect(results / INDEX_NAME)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return [connection.execute(question).fetchall() for question in CONTENT]
    finally:
        connection.close()


def ids(results: Path) -> list[str]:
    with History(results) as history:
        assert history.remarks == []
        return [past.run_id[-4:] for past in history.runs()]


def test_new_changed_and_removed_files_are_noticed(tmp_path: Path) -> None:
    kept, gone = leave_run(tmp_path, 1), leave_run(tmp_path, 2)
    assert ids(tmp_path) == ["0001", "0002"]
    gone.unlink()
    leave_run(tmp_path, 3)
    kept.write_text(json.dumps(run(1, status="failed")))
    assert ids(tmp_path) == ["0001", "0003"]
    with History(tmp_path) as history:
        assert [past.status for past in history.runs()] == ["failed", "passed"]


def test_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = leave_run(tmp_path, 1)
    assert ids(tmp_path) == ["0001"]
    seen = path.stat()
    path.write_text("x" * seen.st_size)
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert ids(tmp_path) == ["0001"]  # path, size and time are equal


def test_file_changed_just_now_is_read_again_despite_an_equal_time(tmp_path: Path) -> None:
    path = leave_run(tmp_path, 1, status="passed")
    now = time.time()
    os.utime(path, (now, now))
    assert ids(tmp_path) == ["0001"]
    path.write_text(path.read_text().replace('"passed"', '"failed"'))
    os.utime(path, (now, now))
    with History(tmp_path) as history:
        assert [past.status for past in history.runs()] == ["failed"]


CHANGES = st.lists(
    st.tuples(st.sampled_from(["leave", "break", "remove", "tag", "ask"]), st.integers(0, 5)),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(CHANGES)
def test_updated_index_equals_a_rebuilt_one(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, int]]
) -> None:
    results = tmp_path_factory.mktemp("results")
    for step, (change, number) in enumerate(changes):
        if change == "leave":
            leave_run(results, number, trials=(float(step),) * (step % 3))
        elif change == "tag":
            leave_run(results, number, own={"tags": [f"t{step}", f"t{number}"]})
        elif change == "break":
            leave(results, f"broken{number}", "{" * step)
        elif change == "remove":
            for path in list(results.rglob(f"*120{number}00_metadata.json")):
                shutil.rmtree(path.parent)
        else:
            with History(results):
                pass
    with History(results) as history:
        followed = [past.facts() for past in history.runs()], history.problems
    followed_content = content_of(results)
    with History(results, rebuild=True) as history:
        assert ([past.facts() for past in history.runs()], history.problems) == followed
    assert content_of(results) == followed_content


def test_values_are_returned_by_run_and_trial(tmp_path: Path) -> None:
    leave_run(tmp_path, 1, trials=(1.0, 3.0))
    leave_run(tmp_path, 2, trials=())
    with History(tmp_path) as history:
        first, second = [past.run_id for past in history.runs()]
        assert history.values([first, second], "1", "read_gib_s") == {first: {1: 1.0, 2: 3.0}}
        assert history.pooled([first, second], "1", "read_gib_s") == {first: 2.0, second: 0.0}
        assert history.pooled([first], "1", "window_s") == {first: 0.5}
        assert history.values([first], "2", "read_gib_s") == {}
        assert history.metrics()["read_gib_s"] == "GiB/s"


ENTER = """
import sys, time
from pathlib import Path
from mlpstorage_bench.history.archive import enter_run
results, path, go = map(Path, sys.argv[1:])
while not go.exists():
    time.sleep(0.001)
enter_run(results, path)
"""


class InterruptedReader(sqlite3.Connection):
    """Another session makes the index while this one reads whose file it is."""

    other: sqlite3.Connection | None = None

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if "sqlite_schema" in sql and self.other is not None:
            with contextlib.suppress(sqlite3.OperationalError):  # this reader holds it back
                schema.prepare(self.other)
        return super().execute(sql, *values)


def test_index_made_while_its_version_is_read_is_not_foreign(tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    other = sqlite3.connect(file, timeout=0, isolation_level=None)
    reader = sqlite3.connect(file, timeout=0, isolation_level=None, factory=InterruptedReader)
    reader.other = other
    schema.prepare(reader)
    reader.close()
    schema.prepare(other)
    other.close()


def test_eight_sessions_that_end_at_once_are_all_in_the_index(tmp_path: Path) -> None:
    results, go = tmp_path / "results", tmp_path / "go"
    paths = [leave_run(results, number) for number in range(8)]
    sessions = [
        subprocess.Popen([sys.executable, "-c", ENTER, str(results), str(path), str(go)])
        for path in paths
    ]
    go.touch()
    assert [session.wait(timeout=60) for session in sessions] == [0] * 8
    with Index(results) as index:
        assert len(list(index.runs(RunFilter()))) == 8
    entered = content_of(results)
    with History(results, rebuild=True):
        pass
    assert content_of(results) == entered


REBUILD = """
import sys
from pathlib import Path
from mlpstorage_bench.history.archive import History
while True:
    with History(Path(sys.argv[1]), rebuild=True):
        pass
"""


def has_content(journal: Path) -> bool:
    """Tell whether a transaction has begun to write; its journal may vanish at any time."""
    with contextlib.suppress(FileNotFoundError):
        return journal.stat().st_size > 0
    return False


def test_writer_killed_while_writing_leaves_a_consistent_index(tmp_path: Path) -> None:
    for number in range(40):
        leave_run(tmp_path, number)
    journal = tmp_path / f"{INDEX_NAME}-journal"
    cut_short = 0
    for _ in range(20):
        with subprocess.Popen([sys.executable, "-c", REBUILD, str(tmp_path)]) as writer:
            try:
                while not has_content(journal):
                    assert writer.poll() is None
            finally:
                writer.kill()  # it has no end of its own
        cut_short += journal.exists()  # a transaction was interrupted and is rolled back
        with History(tmp_path) as history:
            assert history.remarks == []
            assert len(history.runs()) == 40
        kept = content_of(tmp_path)
        with History(tmp_path, rebuild=True):
            pass
        assert content_of(tmp_path) == kept
        if cut_short:
            break
    assert cut_short


def test_index_of_an_older_schema_is_migrated(tmp_path: Path) -> None:
    leave_run(tmp_path, 1, own={"tags": ["nightly"]})
    connection = sqlite3.connect(tmp_path / INDEX_NAME, isolation_level=None)
    schema.prepare(connection, schema.MIGRATIONS[:1])
    connection.execute(
        "INSERT INTO files (path, folder, size_bytes, modified_ns, folder_modified_ns) "
        "VALUES ('old_metadata.json', '', 1, 1, 1)"
    )
    connection.execute("INSERT INTO runs VALUES (1, 'old', 0, 'kv_cache', 'm', 'open', '{}')")
    connection.close()
    with History(tmp_path) as history:
        assert history.remarks == []
        assert [past.tags for past in history.runs(RunFilter(tag="nightly"))] == [("nightly",)]
        assert len(history.runs()) == 1
    connection = sqlite3.connect(tmp_path / INDEX_NAME)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
    connection.close()


def test_failed_migration_leaves_the_file_unchanged(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)
    schema.prepare(connection, schema.MIGRATIONS[:1])
    with pytest.raises(sqlite3.OperationalError):
        schema.prepare(connection, (*schema.MIGRATIONS, ("CREATE TABLE files (x)",)))
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert (
        connection.execute("SELECT name FROM sqlite_schema WHERE name = 'run_tags'").fetchall()
        == []
    )
    connection.close()


def no_database(file: Path) -> None:
    file.write_text("this is no database" * 100)


def of_another_program(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE bookmarks (url)")
    connection.commit()
    connection.close()


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:9000])


def overwritten(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096:] = b"\x99" * (len(content) - 4096)
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [no_database, of_another_program, cut_off, overwritten])
def test_broken_or_foreign_index_is_moved_aside_and_rebuilt(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    leave_run(tmp_path, 1)
    if damage in (cut_off, overwritten):
        assert ids(tmp_path) == ["0001"]
    file = tmp_path / INDEX_NAME
    damage(file)
    damaged = file.read_bytes()
    with History(tmp_path) as history:
        assert [past.run_id[-4:] for past in history.runs()] == ["0001"]
        (remark,) = history.remarks
    assert remark.startswith(f"the index {file} was ")
    assert (tmp_path / f"{INDEX_NAME}.aside-1").read_bytes() == damaged
    assert ids(tmp_path) == ["0001"]


def test_index_of_a_later_version_is_left_unchanged(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    assert ids(tmp_path) == ["0001"]
    connection = sqlite3.connect(tmp_path / INDEX_NAME)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = (tmp_path / INDEX_NAME).read_bytes()
    with History(tmp_path) as history:
        assert len(history.runs()) == 1
        (remark,) = history.remarks
    assert "a later version of mlpstorage_bench made it" in remark
    assert (tmp_path / INDEX_NAME).read_bytes() == before


@pytest.mark.parametrize("has_index", [False, True])
def test_read_only_directory_is_read_from_its_files_with_one_remark(
    mount: Callable[[str, str], Path], *, has_index: bool
) -> None:
    results = mount("tmpfs", "size=8m")
    leave_run(results, 1)
    if has_index:
        assert ids(results) == ["0001"]
    leave_run(results, 2)
    subprocess.run(["/bin/mount", "-o", "remount,ro", str(results)], check=True)
    with History(results) as history:
        assert [past.run_id[-4:] for past in history.runs()] == ["0001", "0002"]
        assert len(history.values([p.run_id for p in history.runs()], "1", "read_gib_s")) == 2
        (remark,) = history.remarks
    assert "cannot be used" in remark
    assert "The metadata files are read instead" in remark


def test_read_only_directory_with_a_current_index_needs_no_remark(
    mount: Callable[[str, str], Path],
) -> None:
    results = mount("tmpfs", "size=8m")
    leave_run(results, 1)
    assert ids(results) == ["0001"]
    subprocess.run(["/bin/mount", "-o", "remount,ro", str(results)], check=True)
    assert ids(results) == ["0001"]


def test_moved_results_keep_their_index(tmp_path: Path) -> None:
    leave_run(tmp_path / "here", 1)
    assert ids(tmp_path / "here") == ["0001"]
    (tmp_path / "here").rename(tmp_path / "there")
    with History(tmp_path / "there") as history:
        (past,) = history.runs()
        assert past.path.is_file()


@pytest.mark.slow
def test_locked_index_is_replaced_by_the_files_after_a_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_run(tmp_path, 1)
    assert ids(tmp_path) == ["0001"]
    monkeypatch.setattr("mlpstorage_bench.history.index.BUSY_TIMEOUT_S", 0.1)
    other = sqlite3.connect(tmp_path / INDEX_NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with History(tmp_path) as history:
        assert [past.run_id[-4:] for past in history.runs()] == ["0001"]
        (remark,) = history.remarks
    assert "cannot be used: database is locked" in remark
    other.close()
    assert ids(tmp_path) == ["0001"]


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o077, 0o600)])
def test_index_has_the_mode_of_new_files(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        with Index(tmp_path) as index, index._transaction():
            files = [*tmp_path.glob(f"{INDEX_NAME}*")]
            assert {path.stat().st_mode & 0o777 for path in files} == {mode}
    finally:
        os.umask(before)
