"""Trials: what is read, when, and how it is checked, counted and stopped."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mlpstorage_bench.errors import PeerError, StorageError
from mlpstorage_bench.mpi.ranks import Notice
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.results.rank_training import RankTraining
from mlpstorage_bench.training.runner.context import TrainingContext
from mlpstorage_bench.training.runner.trial import run_training
from tests.trainings import context, generated, training
from tests.trials import SoloRanks

pytestmark = pytest.mark.slow


def run(directory: Path, workload: TrainingWorkload) -> RankTraining:
    here = context(directory, workload)
    generated(workload, here)
    return run_training(workload, here, SoloRanks())


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("mode", ["direct", "buffered"])
def test_every_sample_is_read_and_checked_once_per_epoch(
    tmp_path: Path, threads: int, mode: str
) -> None:
    workload = training(read_threads=threads, computation_time=0.001)
    if context(tmp_path, workload).best_io_mode == "direct":
        workload = training(read_threads=threads, computation_time=0.001, io_mode=mode)
    result = run(tmp_path, workload)
    dataset = context(tmp_path, workload).place.dataset
    reads, writes = result.stored
    assert (result.closed_by, result.failure, result.corrupt_reads) == ("number of epochs", None, 0)
    assert [epoch.steps for epoch in result.epochs] == [4, 4]
    assert result.samples == reads.host.count == 16
    assert reads.moved_bytes == 2 * dataset.total_bytes
    assert reads.verified_chunks == reads.chunks
    assert writes.moved_bytes == 0


def test_only_the_columns_that_are_read_are_moved(tmp_path: Path) -> None:
    workload = training(
        model="dlrm", batch_size=12288, scale=0.1, num_samples_per_file=24576, epochs=1, steps=2
    )
    result = run(tmp_path, workload)
    dataset = context(tmp_path, workload).place.dataset
    assert result.stored[0].moved_bytes == 4 * dataset.read_bytes(0, 0)
    assert result.stored[0].moved_bytes < dataset.total_bytes / 3


@pytest.mark.long
def test_reads_of_the_page_cache_are_no_reads_of_the_storage(tmp_path: Path) -> None:
    workload = training(io_mode="buffered", io_chunk_kib=65536)
    if not context(tmp_path, workload).counters.process:
        pytest.skip("this kernel or filesystem does not count what a process reads")
    result = run(tmp_path, workload)  # the second epoch finds in memory what the first one read
    assert result.being_submitted.total == result.doubtful.total == 0
    assert result.audit.verdict == "served from page cache", result.audit
    assert result.audit.cached_bytes >= result.reported.read_bytes // 2


def test_an_epoch_takes_at_least_its_computations(tmp_path: Path) -> None:
    result = run(tmp_path, training(computation_time=0.02))
    for epoch, figures in zip(result.epochs, result.figures, strict=True):
        assert epoch.seconds >= 4 * 0.02
        assert epoch.began_ns <= epoch.first_step_ended_ns <= epoch.ended_ns
        assert 0 < figures.au_percentage <= 100
        assert figures.samples_per_s == pytest.approx(8 / epoch.seconds)
    assert result.window_s >= sum(epoch.seconds for epoch in result.epochs)


def corrupt(here: TrainingContext, file: int) -> None:
    path = here.place.path(file)
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)


def test_other_data_than_was_generated_is_counted_with_file_and_offset(tmp_path: Path) -> None:
    workload = training()
    here = context(tmp_path, workload)
    generated(workload, here)
    corrupt(here, 3)
    result = run_training(workload, here, SoloRanks())
    assert result.corrupt_reads == 2  # once in each epoch
    assert here.place.path(3).name in result.corruption
    assert result.closed_by == "number of epochs"


def test_unchecked_reads_find_nothing(tmp_path: Path) -> None:
    workload = training(verify_rate=0.0)
    here = context(tmp_path, workload)
    generated(workload, here)
    corrupt(here, 3)
    result = run_training(workload, here, SoloRanks())
    assert (result.corrupt_reads, result.stored[0].verified_chunks) == (0, 0)


def test_a_missing_file_ends_the_trial_on_all_ranks_with_its_name(tmp_path: Path) -> None:
    workload = training(epochs=50)
    here = context(tmp_path, workload)
    generated(workload, here)
    here.place.path(6).unlink()
    ranks = SoloRanks()
    result = run_training(workload, here, ranks)
    assert isinstance(result.failure, StorageError)
    assert here.place.path(6).name in str(result.failure)
    assert result.closed_by == "failure"
    assert Notice.CLOSING in ranks.announced
    assert len(result.epochs) == 1


def test_a_window_that_closes_elsewhere_ends_the_epoch_here(tmp_path: Path) -> None:
    workload = training(epochs=1000)
    here = context(tmp_path, workload)
    generated(workload, here)
    result = run_training(workload, here, SoloRanks(closing=True))
    assert (result.closed_by, result.failure) == ("another rank", None)
    assert len(result.epochs) < 3


def test_a_failed_peer_ends_the_trial(tmp_path: Path) -> None:
    workload = training(epochs=1000)
    here = context(tmp_path, workload)
    generated(workload, here)
    with pytest.raises(PeerError, match="rank 1"):
        run_training(workload, here, SoloRanks(failed=(1,)))
    assert not [one for one in threading.enumerate() if one.name.startswith("io-")]
