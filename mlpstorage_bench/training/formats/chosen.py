"""The format of a dataset: a library's, or none for raw files."""

from __future__ import annotations

from mlpstorage_bench.training.config.workload import Format
from mlpstorage_bench.training.dataset.place import DatasetPlace
from mlpstorage_bench.training.dataset.raw_files import payload_of
from mlpstorage_bench.training.formats.jpeg import JpegFormat
from mlpstorage_bench.training.formats.library_format import LibraryFormat, library
from mlpstorage_bench.training.formats.npz import NpzFormat
from mlpstorage_bench.training.formats.parquet import ParquetFormat


def format_of(place: DatasetPlace) -> LibraryFormat | None:
    """Return what writes and reads a dataset's files; None for raw files."""
    payload = payload_of(place)
    match place.contents.format:
        case "npz":
            return NpzFormat(place, payload)
        case "jpeg":
            return JpegFormat(place, payload)
        case "parquet":
            return ParquetFormat(place, payload)
    return None


def check_library(name: Format) -> None:
    """Raise InvalidInputError if the library of a format is not installed."""
    if name == "jpeg":
        library(name, "PIL.Image")
    elif name == "parquet":
        library(name, "pyarrow.parquet")
