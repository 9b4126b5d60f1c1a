"""Checkpoints on one rank: what is written, checked and counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.checkpointing.model.shares import checkpoint_bytes
from mlpstorage_bench.checkpointing.results.pooling import pool_checkpoint
from mlpstorage_bench.errors import PeerError, StorageError
from mlpstorage_bench.mpi.ranks import Notice
from mlpstorage_bench.storage.files import DataFile
from tests.checkpointing.runs import SCALE, Share
from tests.trials import SoloRanks

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("io_mode", ["direct", "buffered"])
@pytest.mark.parametrize(
    "form",
    [
        {"writer": "rank"},
        {"writer": "dcp", "files_per_rank": 3},
        {"writer": "megatron"},
        {"writer": "safetensors", "shard_gb": 0.0005},
    ],
)
def test_a_checkpoint_is_written_and_read_back_checked(
    tmp_path: Path, io_mode: str, form: dict[str, object]
) -> None:
    share = Share(tmp_path, io_mode=io_mode, **form)
    written = share.run("write")
    assert written.failure is None
    assert written.closed_by == "complete"
    assert written.reported.write_bytes == share.files.stored_bytes
    assert written.tensor_bytes == checkpoint_bytes(share.parameters.trained, SCALE)
    assert written.files == len(share.files.files)
    sizes = sorted(path.stat().st_size for path in (tmp_path / "01").iterdir())
    assert sizes == sorted(file.stored_bytes for file in share.files.files)
    read = share.run("read")
    assert read.reported.read_bytes == share.files.stored_bytes
    assert read.corrupt_files == 0
    assert read.stored[0].verified_chunks == read.stored[0].chunks


def test_each_file_of_a_durable_checkpoint_is_flushed_once(tmp_path: Path) -> None:
    written = Share(tmp_path, writer="dcp", files_per_rank=4).run("write")
    flushes = written.stored[1].durability.count
    assert flushes == written.files == 5


def test_no_file_is_flushed_without_fsync_in_direct_mode(tmp_path: Path) -> None:
    written = Share(tmp_path, fsync=False, io_mode="direct").run("write")
    assert written.stored[1].durability.count == 0


def test_no_call_crosses_the_end_of_a_tensor(tmp_path: Path) -> None:
    written = Share(tmp_path, io_chunk_kib=64).run("write")
    assert written.stored[1].chunks == 291 * 4


def test_a_damaged_file_is_counted_and_others_are_read(tmp_path: Path) -> None:
    share = Share(tmp_path, writer="dcp", files_per_rank=2)
    share.run("write")
    damaged = max((tmp_path / "01").iterdir(), key=lambda path: path.stat().st_size)
    with damaged.open("r+b") as file:
        file.seek(8192)
        file.write(b"\1" * 8)
    read = share.run("read")
    assert read.failure is None
    assert (read.corrupt_files, read.files) == (1, 2)
    assert str(damaged) in read.corruption
    trial = pool_checkpoint([read])
    assert "1 files of trial 1 had other data" in trial.wrong_data("trial 1")


def test_content_of_another_checkpoint_is_recognized(tmp_path: Path) -> None:
    share = Share(tmp_path)
    share.run("write", 1)
    share.run("write", 2)
    first, second = ((tmp_path / name) for name in ("01", "02"))
    (path,) = second.iterdir()
    path.write_bytes(next(first.iterdir()).read_bytes())
    assert "of an earlier entry of this name" in share.run("read", 2).corruption


def test_an_asynchronous_checkpoint_has_a_time_for_its_copy(tmp_path: Path) -> None:
    share = Share(tmp_path, asynchronous=True, time_between_checkpoints=3600.0)
    written = share.run("write")
    assert written.reported.write_bytes == share.files.stored_bytes
    assert written.training_began_ns is not None
    trial = pool_checkpoint([written])
    assert trial.snapshot_s is not None
    assert trial.standstill_s == trial.snapshot_s
    read = share.run("read")
    assert (read.corrupt_files, read.training_began_ns) == (0, None)


def test_training_goes_on_after_a_checkpoint_that_is_not_asynchronous(tmp_path: Path) -> None:
    assert Share(tmp_path).run("write").training_began_ns is None


def test_training_waits_for_what_is_not_drained_in_time(tmp_path: Path) -> None:
    trial = pool_checkpoint([Share(tmp_path, asynchronous=True).run("write")])
    assert trial.snapshot_s is not None
    assert trial.standstill_s == trial.snapshot_s + trial.checkpoint_s


def test_a_written_checkpoint_replaces_the_one_of_its_number(tmp_path: Path) -> None:
    share = Share(tmp_path)
    share.run("write", 1)
    share.run("write", 1)
    assert share.run("read", 1).corrupt_files == 0
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["01"]


def test_a_failed_flush_is_in_the_result_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: DataFile, *_: object) -> None:
        raise StorageError("syncing", str(file.path), "the device failed")

    share = Share(tmp_path, writer="dcp", files_per_rank=2)
    monkeypatch.setattr(DataFile, "make_durable", fail)
    written = share.run("write")
    assert isinstance(written.failure, StorageError)
    assert written.closed_by == "failure"
    assert share.ranks.announced == [Notice.CLOSING]
    assert [*(tmp_path / "01").iterdir()] == []
    assert not share.files.is_complete(1)


def test_a_rank_ends_early_when_another_one_fails(tmp_path: Path) -> None:
    share = Share(tmp_path)
    share.ranks = SoloRanks(failed=(1,))
    with pytest.raises(PeerError, match="rank 1 failed"):
        share.run("write")
    assert [*(tmp_path / "01").iterdir()] == []


def test_metrics_of_a_checkpoint_name_its_slowest_rank(tmp_path: Path) -> None:
    written = Share(tmp_path).run("write")
    trial = pool_checkpoint([written])
    assert trial.slowest_host == "here"
    assert trial.slowest_rank == 0
    assert trial.write_gib_s is not None
    assert trial.read_gib_s is None
    assert trial.checkpoint_s == pytest.approx(written.window_s)
    assert trial.audit_verdict != "served from page cache", trial.audit_reason
