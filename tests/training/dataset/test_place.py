"""Directories of datasets: one for each content, with a manifest."""

from __future__ import annotations

import json
from array import array
from dataclasses import asdict
from pathlib import Path

import pytest

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.training.dataset.digests import write_digests
from mlpstorage_bench.training.dataset.place import MANIFEST, DatasetPlace
from tests.trainings import context, training


def place(directory: Path, **changes: object) -> DatasetPlace:
    return context(directory, training(**changes)).place


@pytest.mark.parametrize(
    "changes", [{"scale": 0.002}, {"num_files_train": 9}, {"io_chunk_kib": 128}, {"model": "flux"}]
)
def test_other_contents_have_other_directories(tmp_path: Path, changes: dict[str, object]) -> None:
    assert place(tmp_path, **changes).directory != place(tmp_path).directory


@pytest.mark.parametrize("changes", [{"read_threads": 7}, {"epochs": 3}, {"computation_time": 1.0}])
def test_trainings_that_read_the_same_files_share_them(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    assert place(tmp_path, **changes).directory == place(tmp_path).directory


def test_files_have_the_names_of_the_reference(tmp_path: Path) -> None:
    assert place(tmp_path, num_files_train=168).path(7).name == "img_007_of_168.raw"


def test_a_dataset_is_complete_when_its_manifest_says_so(tmp_path: Path) -> None:
    here = place(tmp_path)
    assert not here.is_complete()
    here.make()
    here.describe(is_complete=False)
    assert not here.is_complete()
    write_digests(here.digests, 0, array("Q", [1]))
    here.describe(is_complete=True)
    assert here.is_complete()


@pytest.mark.parametrize("text", ["{", "[]", '{"contents": {}, "complete": true}'])
def test_a_damaged_manifest_is_an_error_with_advice(tmp_path: Path, text: str) -> None:
    here = place(tmp_path)
    here.make()
    (here.directory / "dataset.json").write_text(text)
    with pytest.raises(StorageError, match="generate the data again"):
        here.is_complete()


def test_a_manifest_that_was_changed_is_an_error(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.make()
    here.describe(is_complete=False)
    path = here.directory / MANIFEST
    path.write_text(path.read_text().replace("false", "true"))
    with pytest.raises(StorageError, match=rf"{MANIFEST} failed: its content does not match"):
        here.is_complete()


def test_a_manifest_of_a_version_without_checksums_is_read(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.make()
    old = {"contents": asdict(here.contents), "complete": True}
    (here.directory / MANIFEST).write_text(json.dumps(old, indent=2))
    assert here.is_complete()
    assert here.digests_sha256 is None


def test_a_file_of_another_size_was_not_made(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.make()
    assert not here.has_file(0)
    here.path(0).write_bytes(b"short")
    assert not here.has_file(0)
    here.path(0).write_bytes(bytes(here.dataset.file_bytes(0)))
    assert here.has_file(0)
