"""An index that another user or program has left is not believed."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpstorage_bench.history.archive import History, enter_run
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.history.index_file import INDEX_NAME
from tests.past_runs import leave_run

NOBODY = 65534


def numbers(history: History) -> list[str]:
    return [past.run_id[-1] for past in history.runs()]


def forge(results: Path) -> None:
    """Make the index claim that run 1 failed."""
    connection = sqlite3.connect(results / INDEX_NAME)
    connection.execute(
        """UPDATE runs SET facts = replace(facts, '"status":"passed"', '"status":"failed"')"""
    )
    connection.commit()
    connection.close()


def give_away(path: Path) -> None:
    try:
        os.chown(path, NOBODY, NOBODY)
    except PermissionError:
        pytest.skip("only root may give a file away")


@pytest.mark.parametrize("part", ["", "-journal"])
def test_index_of_another_user_is_not_used_and_the_files_answer(tmp_path: Path, part: str) -> None:
    path = leave_run(tmp_path, 1)
    with History(tmp_path):
        pass
    forge(tmp_path)
    file = tmp_path / f"{INDEX_NAME}{part}"
    file.touch()
    give_away(file)
    before = (tmp_path / INDEX_NAME).read_bytes()
    with History(tmp_path) as history:
        assert [past.status for past in history.runs()] == ["passed"]
        (remark,) = history.remarks
    assert f"{file.name} belongs to another user ({NOBODY})" in remark
    with pytest.raises(sqlite3.DatabaseError, match="belongs to another user"):
        enter_run(tmp_path, path)
    assert (tmp_path / INDEX_NAME).read_bytes() == before


def test_index_of_the_directorys_owner_is_used(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    with History(tmp_path):
        pass
    for path in (tmp_path, tmp_path / INDEX_NAME):
        give_away(path)
    forge(tmp_path)
    with History(tmp_path) as history:
        assert history.remarks == []
        assert [past.status for past in history.runs()] == ["failed"]


def a_link_to_an_empty_file(file: Path) -> None:
    target = file.with_name("precious")
    target.touch()
    file.symlink_to(target)


def a_link_to_nothing(file: Path) -> None:
    file.symlink_to(file.with_name("precious"))


def a_directory(file: Path) -> None:
    file.mkdir()


@pytest.mark.parametrize(
    "make", [a_link_to_an_empty_file, a_link_to_nothing, a_directory, os.mkfifo]
)
def test_index_that_is_no_regular_file_is_not_used(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    leave_run(tmp_path, 1)
    make(tmp_path / INDEX_NAME)
    with History(tmp_path) as history:
        assert numbers(history) == ["1"]
        (remark,) = history.remarks
    assert f"{INDEX_NAME} is no regular file" in remark
    precious = tmp_path / "precious"
    assert not precious.exists() or precious.stat().st_size == 0


def test_values_of_unexpected_types_make_the_index_be_rebuilt(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    statements = (
        "UPDATE files SET path = x'ff00'",
        "UPDATE files SET size_bytes = 'many'",
        "UPDATE runs SET facts = 5",
        "UPDATE runs SET facts = '5'",
        """UPDATE runs SET facts = replace(facts, '"hosts":[', '"hosts":[5,')""",
        "UPDATE runs SET facts = CAST(x'ff' AS TEXT)",
        "UPDATE metrics SET unit = x'00'",
        "UPDATE measured SET value = 'fast'",
    )
    with History(tmp_path):
        pass
    for statement in statements:
        connection = sqlite3.connect(tmp_path / INDEX_NAME)
        connection.execute("PRAGMA writable_schema = ON")
        assert connection.execute(statement).rowcount
        connection.commit()
        connection.close()
        with History(tmp_path) as history:
            assert numbers(history) == ["1"], statement
            assert history.metrics()["read_gib_s"] == "GiB/s"
            assert history.pooled([history.runs()[0].run_id], "1", "read_gib_s")
            (remark,) = history.remarks
            assert "was broken" in remark
        (tmp_path / f"{INDEX_NAME}.aside-1").unlink()


@pytest.mark.slow
def test_damaged_bytes_anywhere_give_runs_or_a_new_index_and_never_an_error(
    tmp_path: Path,
) -> None:
    for number in range(3):
        leave_run(tmp_path, number)
    with History(tmp_path):
        pass
    whole = (tmp_path / INDEX_NAME).read_bytes()
    dice = random.Random(1)
    for _ in range(100):
        damaged = bytearray(whole)
        for _ in range(dice.randrange(1, 60)):
            damaged[dice.randrange(len(whole))] = dice.randrange(256)
        cut = dice.choice([len(whole), dice.randrange(len(whole))])
        (tmp_path / INDEX_NAME).write_bytes(damaged[:cut])
        with History(tmp_path) as history:
            history.runs(RunFilter(test="*", tag="*", host="*"))
            history.metrics()
            history.cases_with("read_gib_s")
            history.problems  # noqa: B018 - read from the index
        for aside in tmp_path.glob("*aside*"):
            aside.unlink()


def test_text_of_the_command_line_that_is_not_utf_8_selects_nothing(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    odd = os.fsdecode(b"\xff")
    with History(tmp_path) as history:
        assert history.runs(RunFilter(model=odd, tag=odd, host=odd, test=odd)) == []
        assert history.values([odd], odd, odd) == {}
        assert history.cases_with(odd) == []
        assert history.remarks == []


def test_results_directory_that_is_a_file_or_out_of_reach_has_no_runs_and_is_named(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in (
        ("file", "Not a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("n" * 300, "File name too long"),
    ):
        with History(tmp_path / name) as history:
            assert history.runs() == []
            assert history.problems == [f"{tmp_path / name}: {reason}"]
    shutil.rmtree(tmp_path, ignore_errors=True)
