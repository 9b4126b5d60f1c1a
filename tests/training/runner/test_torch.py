"""PyTorch's loader as the reader, beside our model of it (`make test-torch`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError, StorageError
from mlpstorage_bench.training.dataset.digests import read_digests
from mlpstorage_bench.training.dataset.raw_files import RawReader, payload_of
from mlpstorage_bench.training.runner.torch_loader import SampleDataset, data_loader
from mlpstorage_bench.training.runner.torch_trial import run_with_torch
from mlpstorage_bench.training.runner.trial import run_training
from tests.trainings import context, generated, training
from tests.trials import SoloRanks

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]


def is_installed() -> bool:
    try:
        data_loader()
    except InvalidInputError:
        return False
    return True


needs_torch = pytest.mark.skipif(not is_installed(), reason="PyTorch is not installed")


@pytest.mark.skipif(is_installed(), reason="PyTorch is installed")
def test_without_pytorch_the_reader_is_refused_with_its_extra() -> None:
    with pytest.raises(InvalidInputError, match=r"mlpstorage-bench\[training-torch\]"):
        data_loader()


@needs_torch
@pytest.mark.parametrize("threads", [0, 2])
def test_pytorchs_loader_reads_what_our_model_of_it_reads(tmp_path: Path, threads: int) -> None:
    ours = training(io_mode="buffered", read_threads=threads)
    theirs = training(reader="torch", read_threads=threads)
    here = context(tmp_path, ours)
    generated(ours, here)
    results = [
        run_training(ours, here, SoloRanks()),
        run_with_torch(theirs, context(tmp_path, theirs), SoloRanks()),
    ]
    for one in results:
        assert (one.failure, one.corrupt_reads, one.samples) == (None, 0, 16)
        assert [epoch.steps for epoch in one.epochs] == [4, 4]
    assert results[0].stored[0].moved_bytes == results[1].stored[0].moved_bytes


@needs_torch
def test_workers_find_other_content_than_was_made(tmp_path: Path) -> None:
    workload = training(reader="torch")
    here = context(tmp_path, workload)
    generated(workload, here)
    path = here.place.path(2)
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    result = run_with_torch(workload, here, SoloRanks())
    assert result.corrupt_reads == 2
    assert path.name in result.corruption


@needs_torch
def test_a_missing_file_ends_the_trial_with_its_name(tmp_path: Path) -> None:
    workload = training(reader="torch", epochs=20)
    here = context(tmp_path, workload)
    generated(workload, here)
    here.place.path(3).unlink()
    result = run_with_torch(workload, here, SoloRanks())
    assert isinstance(result.failure, StorageError)
    assert here.place.path(3).name in str(result.failure)
    assert (result.closed_by, len(result.epochs)) == ("failure", 1)


def test_a_file_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    workload = training(format="npz")
    here = context(tmp_path, workload)
    generated(workload, here)
    digests = read_digests(here.place.digests, here.places)
    reader = RawReader(here.place, here.reads, here.places, digests, payload_of(here.place))
    path = here.place.path(2)
    path.write_bytes(path.read_bytes()[:100])
    dataset = SampleDataset(reader, is_checked=True)
    assert dataset[2].wrong.startswith(f"{path}: it cannot be decoded")


def test_a_dataset_has_as_many_items_as_groups(tmp_path: Path) -> None:
    workload = training()
    here = context(tmp_path, workload)
    generated(workload, here)
    digests = read_digests(here.place.digests, here.places)
    reader = RawReader(here.place, here.reads, here.places, digests, payload_of(here.place))
    dataset = SampleDataset(reader, is_checked=True)
    assert len(dataset) == 8
    assert all(not dataset[item].wrong and dataset[item].moved_bytes for item in range(8))
