"""Sources of counts: files that are read to their end, at one time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlpstorage_bench.measure.counters import KernelFile, Traffic
from mlpstorage_bench.measure.source import Source, SourceFiles

SOURCE = Source("two files", "host", "exact")


def lengths(texts: Sequence[str]) -> Traffic | None:
    return Traffic(len(texts[0]), len(texts[1])) if all(texts) else None


def files_in(folder: Path, *sizes: int) -> SourceFiles:
    paths = [folder / str(number) for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_text("x" * size)
    return SourceFiles(SOURCE, tuple(map(str, paths)), lengths)


def test_files_are_read_to_their_end_at_one_time(tmp_path: Path) -> None:
    before_ns = time.perf_counter_ns()
    reading = files_in(tmp_path, 4097, 3 * 4096).read()
    assert reading is not None
    assert reading.traffic == Traffic(4097, 3 * 4096)
    assert before_ns <= reading.moment_ns <= time.perf_counter_ns()


def test_texts_without_counts_are_no_reading(tmp_path: Path) -> None:
    assert files_in(tmp_path, 1, 0).read() is None


def test_absent_file_is_no_reading(tmp_path: Path) -> None:
    source = SourceFiles(SOURCE, (str(tmp_path / "none"),), lengths)
    assert source.open_counter() is None
    assert source.read() is None


@pytest.mark.slow
def test_file_of_the_kernel_is_read_in_parts() -> None:
    path = Path("/proc/kallsyms")
    try:
        beginning = path.read_bytes()[: 2**20]
    except OSError as error:
        pytest.skip(f"needs {path}: {error}")
    with KernelFile(str(path)) as file:
        content = file.read_to_end()
    assert content.startswith(beginning)
    assert len(content) > 4096
