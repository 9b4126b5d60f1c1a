"""Checkpoints between the phases: what stays, until when, and what a read phase accepts of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import pytest

from mlpstorage_bench.checkpointing.runner.engine import Engine
from mlpstorage_bench.errors import InvalidInputError, StorageError
from mlpstorage_bench.process.removal import MANIFEST
from mlpstorage_bench.storage.directory import RankDirectory
from mlpstorage_bench.storage.files import DataFile
from tests.checkpointing.runner.engines import RUN, engine
from tests.checkpointing.runs import parameters
from tests.trials import SoloRanks

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]

T = TypeVar("T")


def directory(folder: Path) -> Path:
    return folder / "cache" / "checkpoint_rank_0"


def listed(folder: Path) -> list[str]:
    """Return the numbers of the checkpoints that are listed."""
    return [*json.loads((directory(folder) / MANIFEST).read_text())["checkpoints"]]


def write(folder: Path, count: int = 2) -> None:
    """Run a write phase."""
    with engine(folder, phase="write") as opened:
        for trial in range(1, count + 1):
            opened.run_trial(parameters(phase="write"), "write", trial)


def read(opened: Engine, trial: int, planned: int = 2) -> int:
    """Read a checkpoint, and return the number of corrupt files."""
    own, is_last = parameters(phase="read"), trial >= planned
    return opened.run_trial(own, "read", trial, is_last=is_last).result.corrupt_reads


def damage(folder: Path, checkpoint: int) -> None:
    """Change one bit of a checkpoint."""
    (path,) = (directory(folder) / f"{checkpoint:02x}").iterdir()
    content = bytearray(path.read_bytes())
    content[12_345] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("corrupt", [1, 2])
def test_all_files_stay_where_a_read_found_other_data(tmp_path: Path, corrupt: int) -> None:
    write(tmp_path)
    damage(tmp_path, corrupt)
    with engine(tmp_path, phase="read") as opened:
        assert [read(opened, 1), read(opened, 2)] == [int(corrupt == 1), int(corrupt == 2)]
    assert listed(tmp_path) == ["1", "2"]
    assert all([*(directory(tmp_path) / name).iterdir()] for name in ("01", "02"))


def test_files_stay_until_the_last_read(tmp_path: Path) -> None:
    write(tmp_path)
    with engine(tmp_path, phase="read") as opened:
        assert read(opened, 1) == 0
    assert listed(tmp_path) == ["1", "2"]
    with engine(tmp_path, phase="read") as opened:
        assert [read(opened, 1), read(opened, 2)] == [0, 0]
    assert not directory(tmp_path).exists()


def test_files_are_removed_after_the_last_read_of_a_session_with_fewer(tmp_path: Path) -> None:
    """As with `--benchmark-disable`."""
    write(tmp_path)
    with engine(tmp_path, phase="read") as opened:
        assert read(opened, 1, planned=1) == 0
    assert not directory(tmp_path).exists()


def test_files_stay_until_the_last_read_of_a_session_with_more(tmp_path: Path) -> None:
    """As in a self-test of the gate."""
    write(tmp_path)
    with engine(tmp_path, phase="read") as opened:
        assert [read(opened, trial, planned=4) for trial in (1, 2, 3)] == [0, 0, 0]
    assert listed(tmp_path) == ["1", "2"]


def test_more_reads_than_checkpoints_are_refused_and_nothing_is_removed(tmp_path: Path) -> None:
    write(tmp_path, count=1)
    with (
        pytest.raises(InvalidInputError, match=r"num_checkpoints_read: got 2; accepted: at most 1"),
        engine(tmp_path, phase="read"),
    ):
        pass
    assert listed(tmp_path) == ["1"]


def test_a_checkpoint_that_another_rank_has_not_completed_is_not_read(tmp_path: Path) -> None:
    class OtherRank(SoloRanks):
        """Beside a rank that has completed the second checkpoint alone."""

        def merge(self, value: T, add: Callable[[T, T], T]) -> T | None:
            return add(value, cast("T", {2})) if value == {1, 2} else value

    write(tmp_path)
    with engine(tmp_path, OtherRank(), phase="read", num_checkpoints_read=1) as opened:
        read_again = [opened.kept.reads_again(count) for count in (1, 2)]
        assert (
            opened.run_trial(
                parameters(phase="read", num_checkpoints_read=1), "read", 1
            ).result.corrupt_reads
            == 0
        )
    assert read_again == [0, 1]


def test_lists_of_several_runs_are_refused_and_stay(tmp_path: Path) -> None:
    class OtherRank(SoloRanks):
        """Beside a rank in whose directory another run has left its checkpoints."""

        def merge(self, value: T, add: Callable[[T, T], T]) -> T | None:
            return add(value, cast("T", {"another"})) if value == {RUN} else value

    write(tmp_path)
    with (
        pytest.raises(InvalidInputError, match=f"lists of the ranks are of {RUN}, another: name"),
        engine(tmp_path, OtherRank(), phase="read"),
    ):
        pass
    assert listed(tmp_path) == ["1", "2"]


def test_a_checkpoint_is_off_the_list_while_it_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    during: list[list[str]] = []

    def fail(file: DataFile, *_: object) -> None:
        during.append(listed(tmp_path))
        raise StorageError("syncing", str(file.path), "the device failed")

    with engine(tmp_path, phase="write") as opened:
        for trial in (1, 2):
            opened.run_trial(parameters(phase="write"), "write", trial)
        monkeypatch.setattr(DataFile, "make_durable", fail)
        assert opened.run_trial(parameters(phase="write"), "write", 3).result.failure is not None
    assert during == [["2"]]
    assert listed(tmp_path) == ["2"]


def test_the_only_checkpoint_that_is_written_again_leaves_no_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[bool] = []

    def fail(file: DataFile, *_: object) -> None:
        found.append((directory(tmp_path) / MANIFEST).exists())
        raise StorageError("syncing", str(file.path), "the device failed")

    own = parameters(phase="write", num_checkpoints_write=1)
    with engine(tmp_path, phase="write", num_checkpoints_write=1) as opened:
        opened.run_trial(own, "write", 1)
        monkeypatch.setattr(DataFile, "make_durable", fail)
        assert opened.run_trial(own, "write", 2).result.failure is not None
    assert found == [False]
    assert not directory(tmp_path).exists()


def test_data_is_compared_with_memory_by_what_is_listed(tmp_path: Path) -> None:
    write(tmp_path, count=1)
    changes = {"phase": "read", "num_checkpoints_write": 10, "num_checkpoints_read": 1}
    with engine(tmp_path, **changes) as opened:
        found = opened.run_trial(parameters(**changes), "read", 1).result
    assert found.data_to_memory == found.checkpoint_bytes / (1 << 30)


def test_a_list_that_was_changed_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    path = directory(tmp_path) / MANIFEST
    content = json.loads(path.read_text())
    file = content["checkpoints"]["1"][0]
    file["digests"] = f"{int(file['digests'][0], 16) ^ 1:x}{file['digests'][1:]}"
    path.write_text(json.dumps(content))
    with (
        pytest.raises(InvalidInputError, match="does not match its sha256"),
        engine(tmp_path, phase="read"),
    ):
        pass
    assert listed(tmp_path) == ["1", "2"]


@pytest.mark.parametrize("change", [4096, -4096, None])
def test_a_listed_file_of_another_size_is_refused_and_stays(
    tmp_path: Path, change: int | None
) -> None:
    write(tmp_path)
    (path,) = (directory(tmp_path) / "02").iterdir()
    if change is None:
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size + change)
    with (
        pytest.raises(InvalidInputError, match=r"Checkpoint 2 lacks .*, or its size is another"),
        engine(tmp_path, phase="read"),
    ):
        pass
    assert listed(tmp_path) == ["1", "2"]
    assert path.exists() == (change is not None)


def test_a_directory_in_which_a_list_was_being_written_is_used_again(tmp_path: Path) -> None:
    with RankDirectory(tmp_path / "cache", 0) as opened:
        (opened.path / f".mlps-{'0' * 16}.tmp").write_text("{")
        opened.leaves = True
    with RankDirectory(tmp_path / "cache", 0):
        pass
    assert not (tmp_path / "cache" / "rank_0").exists()
