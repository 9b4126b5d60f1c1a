"""Digests: a place for each chunk that is read, whichever rank made the file."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.store import Chunking
from mlpstorage_bench.training.dataset.digests import DigestPlaces, read_digests, write_digests
from mlpstorage_bench.training.workload.models import MODELS
from mlpstorage_bench.training.workload.samples import Dataset


def places(model: str, files: int = 5, scale: float = 0.01) -> DigestPlaces:
    own = MODELS[model]
    return DigestPlaces(Dataset(own, files, 1, scale, own.samples_per_file), Chunking(64 << 10))


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_chunk_that_is_read_has_a_place_of_its_own(model: str) -> None:
    own, at = places(model), 0
    dataset = own.dataset
    for file in range(dataset.files):
        assert own.first(file) == at
        pieces = dataset.read_pieces(file, 0)
        assert own.of_group(file) == sum(-(-piece.size // (64 << 10)) for piece in pieces)
        at += own.of_group(file) * dataset.groups_per_file
    assert own.total == at


def test_digests_are_read_as_they_were_written_in_any_order(tmp_path: Path) -> None:
    own = places("unet3d")
    expected: dict[int, int] = {}
    for file in (3, 0, 4, 2, 1):
        count = own.of_group(file)
        values = [(file + 1 << 60) + number for number in range(count)]
        expected |= dict(zip(range(own.first(file), own.first(file) + count), values, strict=True))
        write_digests(tmp_path / "digests", own.first(file), array("Q", values))
    found = read_digests(tmp_path / "digests", own)
    assert found.tolist() == [expected[position] for position in range(own.total)]


def test_missing_digests_are_an_error_with_advice(tmp_path: Path) -> None:
    own = places("retinanet")
    write_digests(tmp_path / "digests", 0, array("Q", [1]))
    with pytest.raises(StorageError, match="generate the data again"):
        read_digests(tmp_path / "digests", own)
