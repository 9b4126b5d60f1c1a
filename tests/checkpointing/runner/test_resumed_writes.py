"""A write phase that goes on after an interruption: what it keeps, and what it writes again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpstorage_bench.checkpointing.runner.manifest import Manifest
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.process.removal import MANIFEST
from tests.checkpointing.runner.engines import RESUMED, engine
from tests.checkpointing.runs import parameters

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]

WRITE = parameters(phase="write")


def directory(folder: Path) -> Path:
    return folder / "cache" / "checkpoint_rank_0"


def listed(folder: Path) -> list[str]:
    """Return the numbers of the checkpoints that are listed."""
    return [*json.loads((directory(folder) / MANIFEST).read_text())["checkpoints"]]


def files(folder: Path) -> dict[str, int]:
    """Return the inode of each checkpoint's file."""
    return {
        path.parent.name: path.stat().st_ino for path in sorted(directory(folder).glob("0*/*.kv"))
    }


def write(folder: Path, count: int) -> None:
    """Run a write phase that ends early."""
    with engine(folder, phase="write") as opened:
        for trial in range(1, count + 1):
            opened.run_trial(WRITE, "write", trial)


def corrupt_reads(folder: Path) -> list[int]:
    """Read all checkpoints in a read phase."""
    own = parameters(phase="read")
    with engine(folder, None, ("later", False), phase="read") as opened:
        return [opened.run_trial(own, "read", trial).result.corrupt_reads for trial in (1, 2)]


def test_listed_checkpoints_stay_and_others_are_written(tmp_path: Path) -> None:
    write(tmp_path, 1)
    before = files(tmp_path)
    with engine(tmp_path, None, RESUMED, phase="write") as opened:
        assert opened.kept.lost("write", 1, 2)[0] == []
        assert files(tmp_path) == before
        opened.run_trial(WRITE, "write", 2)
    after = files(tmp_path)
    assert [*after] == ["01", "02"]
    assert after["01"] == before["01"]
    assert listed(tmp_path) == ["1", "2"]
    assert corrupt_reads(tmp_path) == [0, 0]


def test_a_run_with_nothing_left_to_write_leaves_its_checkpoints(tmp_path: Path) -> None:
    write(tmp_path, 2)
    with engine(tmp_path, None, RESUMED, phase="write") as opened:
        assert opened.kept.lost("write", 2, 2)[0] == []
    assert corrupt_reads(tmp_path) == [0, 0]


def test_files_of_a_killed_trial_are_removed(tmp_path: Path) -> None:
    write(tmp_path, 1)
    begun = directory(tmp_path) / "02"
    begun.mkdir()
    (begun / f"{'0' * 32}.kv").write_text("half")
    (directory(tmp_path) / f".mlps-{'0' * 16}.tmp").write_text("{")
    with engine(tmp_path, None, RESUMED, phase="write") as opened:
        opened.begin_case()
        assert not begun.exists()
        found = {path.name for path in directory(tmp_path).iterdir()}
    assert found == {".claim", "01", MANIFEST}


def remove_list(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def damage_list(folder: Path) -> None:
    (folder / MANIFEST).write_text("{")


def list_another_run(folder: Path) -> None:
    Manifest.of_file(folder / MANIFEST).model_copy(update={"run_id": "another"}).write(folder)


def remove_file(folder: Path) -> None:
    next((folder / "01").iterdir()).unlink()


def shorten_file(folder: Path) -> None:
    next((folder / "01").iterdir()).write_bytes(bytes(4096))


@pytest.mark.parametrize(
    ("lose", "problem"),
    [
        (remove_list, f"{MANIFEST} does not exist"),
        (damage_list, "list of checkpoints"),
        (list_another_run, f"{MANIFEST} is of another run"),
        (remove_file, "files of checkpoint 1 are missing or have other sizes"),
        (shorten_file, "files of checkpoint 1 are missing or have other sizes"),
    ],
)
def test_lost_checkpoints_are_stated_and_written_again(
    tmp_path: Path, lose: Callable[[Path], None], problem: str
) -> None:
    write(tmp_path, 1)
    lose(directory(tmp_path))
    with engine(tmp_path, None, RESUMED, phase="write") as opened:
        lost, why = opened.kept.lost("write", 1, 2)
        assert lost == [1]
        assert why.startswith("rank 0 on here: ")
        assert problem in why
        opened.begin_case()
        assert files(tmp_path) == {}
        opened.write_again(WRITE, "write", lost)
        assert opened.kept.lost("write", 1, 2)[0] == []
        opened.run_trial(WRITE, "write", 2)
    assert listed(tmp_path) == ["1", "2"]
    assert corrupt_reads(tmp_path) == [0, 0]


def test_reads_that_had_all_ended_go_on_without_files(tmp_path: Path) -> None:
    with engine(tmp_path, None, RESUMED, phase="read") as opened:
        assert opened.kept.lost("read", 2, 2)[0] == []
        opened.kept.end_reads()
    assert not directory(tmp_path).exists()


def test_reads_that_are_left_without_files_are_refused(tmp_path: Path) -> None:
    with (
        engine(tmp_path, None, RESUMED, phase="read") as opened,
        pytest.raises(InvalidInputError, match="a run with phase=write has left"),
    ):
        opened.kept.lost("read", 1, 2)


def test_files_are_given_up_where_earlier_parts_of_the_run_have_read_all(tmp_path: Path) -> None:
    write(tmp_path, 2)
    with engine(tmp_path, None, RESUMED, phase="read") as opened:
        opened.kept.end_reads()
    assert not directory(tmp_path).exists()


def test_a_run_that_goes_on_with_both_phases_begins_with_an_empty_directory(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with engine(tmp_path, None, RESUMED) as opened:
        opened.begin_case()
        assert files(tmp_path) == {}
        assert opened.kept.lost("write", 1, 2)[0] == []
        lost, _ = opened.kept.lost("read", 0, 2)
        assert lost == [1, 2]
        opened.write_again(parameters(), "read", lost)
        reads = [opened.run_trial(parameters(), "read", trial).result for trial in (1, 2)]
        assert opened.has_rewritten
    assert [read.corrupt_reads for read in reads] == [0, 0]
    assert [read.caches for read in reads] == ["dropped", ""]
    assert not directory(tmp_path).exists()
