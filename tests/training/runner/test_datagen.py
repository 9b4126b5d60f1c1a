"""Generation of datasets: fast, checkable, and resumable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlpstorage_bench.errors import CapacityError, StorageError
from mlpstorage_bench.training.dataset.place import MANIFEST, PARTIAL
from mlpstorage_bench.training.results.generated import Generated
from mlpstorage_bench.training.runner.datagen import generate
from mlpstorage_bench.training.runner.trial import run_training
from mlpstorage_bench.trial.watch import Watch
from tests.trainings import context, generated, training
from tests.trials import SoloRanks

pytestmark = pytest.mark.slow


class OneOf(SoloRanks):
    """A rank of two, whose peer has already made its files or makes them later."""

    size = 2

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank = rank


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("model", ["unet3d", "retinanet"])
def test_all_files_get_their_sizes_and_content_of_their_own(tmp_path: Path, model: str) -> None:
    workload = training(model=model, scale=0.01, io_chunk_kib=1024)
    here = context(tmp_path, workload)
    made = generated(workload, here)
    dataset = here.place.dataset
    assert made.files == dataset.files == 8
    assert made.written_bytes == dataset.total_bytes
    files = [here.place.path(file) for file in range(8)]
    assert [path.stat().st_size for path in files] == [dataset.file_bytes(f) for f in range(8)]
    assert len({path.read_bytes()[:4096] for path in files}) == 8
    assert here.place.is_complete()


def test_a_second_generation_makes_nothing(tmp_path: Path) -> None:
    workload = training()
    here = context(tmp_path, workload)
    generated(workload, here)
    before = contents(tmp_path)
    assert generated(workload, here) == Generated()
    assert contents(tmp_path) == before


def test_the_same_parameters_make_the_same_files(tmp_path: Path) -> None:
    workload = training(model="dlrm", batch_size=6144, scale=0.05, num_samples_per_file=12288)
    places = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        here = context(tmp_path / name, workload)
        generated(workload, here)
        places.append(contents(tmp_path / name))
    assert places[0] == places[1]


def test_an_interrupted_generation_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    workload = training()
    here = context(tmp_path, workload)
    generated(workload, here)
    before = contents(tmp_path)
    place = here.place
    place.path(2).unlink()
    place.path(5).rename(place.path(5).with_name(place.path(5).name + ".partial"))
    place.describe(is_complete=False)
    made = generated(workload, here)
    assert made.files == 2
    assert contents(tmp_path) == before


def test_files_whose_digests_were_lost_are_made_again(tmp_path: Path) -> None:
    workload = training()
    here = context(tmp_path, workload)
    generated(workload, here)
    before = contents(tmp_path)
    here.place.digests.unlink()
    here.place.describe(is_complete=False)
    assert generated(workload, here).files == 8
    assert contents(tmp_path) == before


def test_digests_that_were_changed_are_an_error_that_names_their_file(tmp_path: Path) -> None:
    workload = training()
    here = context(tmp_path, workload)
    generated(workload, here)
    content = bytearray(here.place.digests.read_bytes())
    content[3] ^= 1
    here.place.digests.write_bytes(content)
    watch = Watch(SoloRanks(), None, is_on=False)
    with pytest.raises(StorageError, match=r"/digests failed: it is not as it was when"):
        run_training(workload, here, SoloRanks(), watch)
    here.place.path(2).unlink()
    with pytest.raises(StorageError, match=r"/digests failed: it is not as it was when"):
        generate(workload, here, SoloRanks(), watch, None, looks_for_all=True)


def test_ranks_make_different_files_that_together_are_all(tmp_path: Path) -> None:
    workload = training(steps=2)
    here = context(tmp_path, workload, ranks=2)
    watch = Watch(SoloRanks(), None, is_on=False)
    with pytest.raises(StorageError, match="share"):  # rank 0 does not see those of rank 1
        generate(workload, here, OneOf(0), watch, None)
    assert [here.place.has_file(file) for file in range(8)] == [True, False] * 4
    made = generate(workload, replace(here, rank=1), OneOf(1), watch, None)
    assert made.files == 4
    assert all(here.place.has_file(file) for file in range(8))


def test_data_that_does_not_fit_is_refused_before_a_file_is_made(tmp_path: Path) -> None:
    workload = training()
    here = context(tmp_path, workload)
    with pytest.raises(CapacityError, match="free space"):
        generate(workload, here, SoloRanks(), Watch(SoloRanks(), None, is_on=False), 1000)
    assert not any(here.place.has_file(file) for file in range(8))


def test_new_data_that_does_not_fit_is_refused_without_looking_for_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = training(model="retinanet", num_files_train=100_000_000)
    here = context(tmp_path, workload)
    looked_for: list[int] = []
    monkeypatch.setattr(type(here.place), "has_file", lambda _self, file: looked_for.append(file))
    with pytest.raises(CapacityError, match="free space"):
        generate(workload, here, SoloRanks(), Watch(SoloRanks(), None, is_on=False), 1 << 20)
    assert looked_for == []
    assert not here.place.directory.exists()


@pytest.mark.parametrize("linked", ["directory", "train"])
def test_link_in_place_of_the_data_is_not_followed(tmp_path: Path, linked: str) -> None:
    workload = training()
    here = context(tmp_path, workload)
    other = tmp_path / "other"
    other.mkdir()
    path: Path = getattr(here.place, linked)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(other)
    with pytest.raises(StorageError, match="is not followed"):
        generated(workload, here)
    assert list(other.iterdir()) == []


def test_links_among_the_data_are_not_written_through(tmp_path: Path) -> None:
    workload = training()
    here = context(tmp_path, workload)
    here.place.train.mkdir(parents=True)
    other = tmp_path / "other"
    other.write_text("not ours")
    for path in (here.place.path(0), here.place.directory / MANIFEST):
        path.with_name(path.name + PARTIAL).symlink_to(other)
    assert generated(workload, here).files == 8
    assert other.read_text() == "not ours"


def test_link_in_place_of_the_digests_is_an_error(tmp_path: Path) -> None:
    workload = training()
    here = context(tmp_path, workload)
    here.place.train.mkdir(parents=True)
    other = tmp_path / "other"
    other.write_text("not ours")
    here.place.digests.symlink_to(other)
    with pytest.raises(StorageError, match="writing"):
        generated(workload, here)
    assert other.read_text() == "not ours"


def test_a_file_whose_digests_cannot_be_written_is_not_left_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *_: object) -> None:
        raise StorageError("writing", str(path), "the device failed")

    workload = training()
    here = context(tmp_path, workload)
    monkeypatch.setattr("mlpstorage_bench.training.runner.datagen.write_digests", fail)
    with pytest.raises(StorageError, match=r"writing \S+/digests failed"):
        generated(workload, here)
    assert list(here.place.train.iterdir()) == []
    assert not here.place.is_complete()
