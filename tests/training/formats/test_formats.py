"""Formats of libraries: files that their own readers read, checked like raw ones."""

from __future__ import annotations

import importlib
import io
from pathlib import Path

import numpy as np
import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.formats.chosen import check_library, format_of
from mlpstorage_bench.training.formats.library_format import library
from mlpstorage_bench.training.results.generated import Generated
from mlpstorage_bench.training.runner.datagen import generate
from mlpstorage_bench.training.runner.trial import run_training
from mlpstorage_bench.trial.watch import Watch
from tests.trainings import context, generated, training
from tests.trials import SoloRanks

pytestmark = pytest.mark.slow

NEEDED = {"npz": "numpy", "jpeg": "PIL", "parquet": "pyarrow"}


def workload_of(name: str, **changes: object) -> TrainingWorkload:
    """Return a small training with files of a format; skip if its library is not installed."""
    pytest.importorskip(NEEDED[name])
    of_model: dict[str, dict[str, object]] = {
        "npz": {"model": "unet3d"},
        "jpeg": {"model": "retinanet", "scale": 0.2},
        "parquet": {
            "model": "dlrm",
            "batch_size": 6144,
            "num_samples_per_file": 12288,
            "scale": 0.3,
        },
    }
    return training(format=name, computation_time=0.001, **of_model[name], **changes)


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_every_sample_is_read_decoded_and_checked(tmp_path: Path, name: str) -> None:
    workload = workload_of(name)
    here = context(tmp_path, workload)
    made = generated(workload, here)
    files = [here.place.path(file) for file in range(here.place.contents.files)]
    assert made.files == len(files)
    assert made.written_bytes == sum(path.stat().st_size for path in files)
    result = run_training(workload, here, SoloRanks())
    reads = result.stored[0]
    assert (result.failure, result.corrupt_reads) == (None, 0)
    assert reads.host.count == reads.verified_chunks == 4 * 2 * workload.groups_per_batch
    assert result.io_mode == "buffered"


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_changed_file_is_found(tmp_path: Path, name: str) -> None:
    workload = workload_of(name)
    here = context(tmp_path, workload)
    generated(workload, here)
    path = here.place.path(1)
    content = bytearray(path.read_bytes())
    for at in range(200, len(content) - 200, 97):
        content[at] ^= 0x5A
    path.write_bytes(content)
    result = run_training(workload, here, SoloRanks())
    assert result.failure is None
    assert result.corrupt_reads >= 2
    assert path.name in result.corruption


@pytest.mark.parametrize(
    ("name", "place", "is_checked"),
    [
        ("npz", "of the image", True),
        ("npz", "of the header", True),
        ("npz", "of the label", False),
        ("npz", "last", False),
        ("jpeg", "last", True),
        ("jpeg", "first", True),
    ],
)
def test_bytes_that_are_checked_are_those_that_the_page_names(
    tmp_path: Path, name: str, place: str, *, is_checked: bool
) -> None:
    workload = workload_of(name)
    here = context(tmp_path, workload)
    generated(workload, here)
    chosen, path = format_of(here.place), here.place.path(1)
    assert chosen is not None
    before, content = chosen.read(1, 0), bytearray(path.read_bytes())
    places = {"first": 0, "last": -1, "of the image": len(content) // 2}
    if name == "npz":
        header_bytes, begin = 128, b"\x93NUMPY"
        places["of the header"] = content.index(begin) + header_bytes - 2  # a space
        places["of the label"] = content.rindex(begin) + header_bytes
    content[places[place]] ^= 1
    path.write_bytes(content)
    try:
        is_found = chosen.read(1, 0) != before
    except ValueError:
        is_found = True
    assert is_found == is_checked


@pytest.mark.parametrize("name", sorted(NEEDED))
@pytest.mark.parametrize("lost", ["nearly all", "one byte"])
def test_a_file_that_was_cut_is_made_again(tmp_path: Path, name: str, lost: str) -> None:
    workload = workload_of(name)
    here = context(tmp_path, workload)
    generated(workload, here)
    path = here.place.path(1)
    content = path.read_bytes()
    path.write_bytes(content[:100] if lost == "nearly all" else content[:-1])
    watch = Watch(SoloRanks(), None, is_on=False)
    assert generate(workload, here, SoloRanks(), watch, None, looks_for_all=True).files == 1
    assert path.stat().st_size == len(content)
    assert generate(workload, here, SoloRanks(), watch, None, looks_for_all=True) == Generated()


def test_files_whose_sizes_were_not_kept_are_those_that_exist(tmp_path: Path) -> None:
    workload = workload_of("npz")
    here = context(tmp_path, workload)
    generated(workload, here)
    here.place.sizes.unlink()
    here.place.path(1).write_bytes(b"")
    watch = Watch(SoloRanks(), None, is_on=False)
    assert generate(workload, here, SoloRanks(), watch, None, looks_for_all=True).files == 1


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_file_that_cannot_be_decoded_comes_with_the_next_step(tmp_path: Path, name: str) -> None:
    workload = workload_of(name)
    here = context(tmp_path, workload)
    generated(workload, here)
    path = here.place.path(1)
    path.write_bytes(path.read_bytes()[:100])
    result = run_training(workload, here, SoloRanks())
    assert result.corruption.startswith(f"{path}: it cannot be decoded (")
    assert "make it again with --mlps-datagen" in result.corruption


def test_npz_files_have_a_square_image_of_nearly_the_size(tmp_path: Path) -> None:
    workload = workload_of("npz")
    here = context(tmp_path, workload)
    generated(workload, here)
    for file in range(3):
        with np.load(here.place.path(file)) as content:
            image = content["x"]
        assert image.shape[0] == image.shape[1]
        assert image.nbytes == pytest.approx(here.place.dataset.group_bytes(file), rel=0.02)


def test_jpeg_files_have_exactly_their_size_and_hardly_any_padding(tmp_path: Path) -> None:
    workload = workload_of("jpeg")
    here = context(tmp_path, workload)
    generated(workload, here)
    content = here.place.path(0).read_bytes()
    assert len(content) == here.place.dataset.file_bytes(0)
    image = importlib.import_module("PIL.Image").open(io.BytesIO(content))
    image.load()
    assert image.format == "JPEG"
    assert content.rindex(b"\xff\xd9", 0, len(content)) > 0.5 * len(content)


def test_parquet_files_have_row_groups_and_a_fifth_of_their_columns_is_read(tmp_path: Path) -> None:
    workload = workload_of("parquet")
    here = context(tmp_path, workload)
    generated(workload, here)
    metadata = importlib.import_module("pyarrow.parquet").ParquetFile(here.place.path(0)).metadata
    assert (metadata.num_row_groups, metadata.num_columns) == (2, 200)
    assert metadata.row_group(0).num_rows == 6144
    chosen = format_of(here.place)
    assert chosen is not None
    whole = metadata.row_group(0).total_byte_size
    assert chosen.read(0, 1).moved_bytes == pytest.approx(whole / 5, rel=0.1)


def test_a_missing_library_is_named_with_the_extra_that_brings_it() -> None:
    with pytest.raises(InvalidInputError, match=r"Install mlpstorage-bench\[training\]"):
        library("parquet", "no_such_module_of_any_package")
    check_library("raw")


def test_libraries_have_no_direct_io() -> None:
    with pytest.raises(ValueError, match="through the page cache"):
        training(format="npz", io_mode="direct")
