"""The dataset: declared sizes and deviations, and places that fill the files."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.training.workload.models import MODELS
from mlpstorage_bench.training.workload.samples import SECTOR_BYTES, Dataset

SCALES = st.floats(0.001, 1.0)


def dataset_of(name: str, files: int, seed: int = 1, scale: float = 1.0) -> Dataset:
    model = MODELS[name]
    return Dataset(model, files, seed, scale, model.samples_per_file)


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_sizes_have_the_declared_mean_and_deviation(scale: float) -> None:
    model = MODELS["unet3d"]
    dataset = dataset_of("unet3d", 2000, scale=scale)
    sizes = [dataset.file_bytes(file) for file in range(2000)]
    assert statistics.fmean(sizes) == pytest.approx(model.record_bytes * scale, rel=3e-3)
    assert statistics.pstdev(sizes) == pytest.approx(model.record_stdev_bytes * scale, rel=1e-2)
    assert min(sizes) > 0
    assert sum(sizes) == dataset.total_bytes


@pytest.mark.parametrize("files", [1, 2, 3, 7, 42, 105])
def test_any_number_of_files_has_the_declared_mean(files: int) -> None:
    dataset = dataset_of("unet3d", files, seed=3)
    sizes = [dataset.file_bytes(file) for file in range(files)]
    padding = SECTOR_BYTES / MODELS["unet3d"].record_bytes
    assert statistics.fmean(sizes) == pytest.approx(MODELS["unet3d"].record_bytes, rel=padding)
    assert len(set(sizes)) == files


def test_the_seed_deals_out_the_same_sizes_to_other_files() -> None:
    one, other = (
        [dataset_of("unet3d", 50, seed).file_bytes(f) for f in range(50)] for seed in (1, 2)
    )
    assert one != other
    assert sorted(one) == sorted(other)


@pytest.mark.slow
@given(st.sampled_from(sorted(MODELS)), SCALES, st.integers(0, 4), st.integers(0, 10**6))
def test_pieces_of_a_group_lie_one_behind_the_other_in_whole_sectors(
    name: str, scale: float, file: int, number: int
) -> None:
    dataset = dataset_of(name, files=5, seed=1, scale=scale)
    number %= dataset.groups_per_file
    at = number * dataset.group_bytes(file)
    for piece, _ in dataset.pieces(file, number):
        assert piece.offset == at
        assert piece.size > 0
        assert piece.offset % SECTOR_BYTES == piece.size % SECTOR_BYTES == 0
        at += piece.size
    assert at == (number + 1) * dataset.group_bytes(file)
    assert at <= dataset.file_bytes(file)


@pytest.mark.parametrize("name", ["unet3d", "retinanet", "flux"])
def test_models_without_columns_read_a_sample_at_once(name: str) -> None:
    dataset = dataset_of(name, files=3, seed=1)
    (piece,) = dataset.read_pieces(1, 0)
    assert piece.size == dataset.group_bytes(1)


def test_dlrm_reads_a_fifth_of_the_columns_of_a_row_group() -> None:
    dataset = dataset_of("dlrm", files=2, seed=1)
    assert len(dataset.read_pieces(0, 3)) == 40
    assert dataset.read_bytes(0, 3) / dataset.group_bytes(0) == pytest.approx(0.2, rel=0.01)
    assert dataset.group_bytes(0) == pytest.approx(6144 * 761, rel=1e-3)
    assert dataset.samples == 2 * 1_536_000


def test_a_group_knows_its_file() -> None:
    dataset = dataset_of("flux", files=2, seed=1)
    assert [dataset.place(group) for group in (0, 287, 288)] == [(0, 0), (0, 287), (1, 0)]
