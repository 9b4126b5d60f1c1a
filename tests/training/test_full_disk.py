"""A filesystem that other programs fill while the data of a training is made."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.variants import first_of

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]

TEST = "def test_training(training, training_workload): training.run(training_workload)"
OPTIONS = (
    *("--mlps-set=training.scale=0.001", "--mlps-set=training.steps=30"),
    *("--mlps-set=training.computation_time=0.001", "--mlps-set=training.batch_size=2"),
    *("--mlps-set=training.io_chunk_kib=64", "--mlps-set=training.epochs=1", "--mlps-trials=1"),
    *("--mlps-results-dir=results", "-p", "no:cacheprovider"),
)
"""60 files with 9 MB together."""
FILES = 60
MADE = 20
CONFTEST = """
from pathlib import Path

from mlpstorage_bench.training.runner import datagen

OTHERS = Path({others!r})
make, made = datagen._Generation._make, []

def make_then_fill(generation, file, lane):
    make(generation, file, lane)
    made.append(file)
    if len(made) == {made} and OTHERS.parent.exists():
        with OTHERS.open("wb", buffering=0) as others:
            try:
                while True:
                    others.write(bytes(1 << 12))
            except OSError:
                pass

datagen._Generation._make = make_then_fill
"""
"""Fills the filesystem when some files of the data are made, while a directory exists."""


def metadata(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    """Return the metadata of all runs, in the order of their times."""
    found = [
        json.loads(path.read_text())
        for path in (pytester.path / "results").rglob("*_metadata.json")
    ]
    return sorted(found, key=lambda one: str(one["mlpstorage"]["start_datetime"]))


def is_complete(cache: Path) -> bool:
    (manifest,) = cache.glob("*/dataset.json")
    return json.loads(manifest.read_text())["complete"] is True


@pytest.mark.parametrize(
    ("file_format", "command"),
    first_of(("raw", ("--mlps-datagen",)), ("raw", ()), ("npz", ("--mlps-datagen",))),
)
def test_a_disk_that_becomes_full_ends_generation_and_a_later_one_makes_the_rest(
    pytester: pytest.Pytester,
    mount: Callable[[str, str], Path],
    file_format: str,
    command: tuple[str, ...],
) -> None:
    small = mount("tmpfs", "size=32m")
    cache, others = small / "cache", small / "filled" / "others"
    others.parent.mkdir()
    pytester.makepyfile(TEST)
    pytester.makeconftest(CONFTEST.format(others=str(others), made=MADE))
    options = (*OPTIONS, f"--mlps-set=training.format={file_format}", f"--mlps-cache-dir={cache}")

    failed = pytester.runpytest_subprocess(*options, *command, "--tb=short")
    failed.assert_outcomes(failed=1)
    assert failed.ret == pytest.ExitCode.TESTS_FAILED
    place = rf"rank 0 on {re.escape(socket.gethostname())}: \w+ing {cache}/unet3d-\w+/train/img_\d+"
    failed.stdout.re_match_lines(
        [
            (
                rf".*StorageError: {place}_of_{FILES}\S+ failed: .*\(ENOSPC\)\. "
                r"The filesystem is full: free space there, .* --mlps-cache-dir; --mlps-datasize .*"
            )
        ]
    )
    (run,) = metadata(pytester)
    assert (run["exit_status"], run["mlpstorage"]["status"]) == (1, "failed")
    assert run["command"] == ("datagen" if command else "run")
    assert "(ENOSPC)" in run["mlpstorage"]["tests"][0]["message"]
    made = {path: path.stat().st_mtime_ns for path in cache.glob("*/train/*")}
    assert MADE <= len(made) < FILES
    assert [path.name for path in made if path.suffix != f".{file_format}"] == []
    assert not is_complete(cache)

    others.unlink()
    others.parent.rmdir()
    again = pytester.runpytest_subprocess(*options, *command)
    again.assert_outcomes(passed=1)
    again.stdout.fnmatch_lines([f"*{FILES - len(made)} files with * GiB were made in *"])
    assert is_complete(cache)
    assert len([*cache.glob("*/train/*")]) == FILES
    assert {path: path.stat().st_mtime_ns for path in made} == made
    if command:
        pytester.runpytest_subprocess(*options).assert_outcomes(passed=1)
    figures = metadata(pytester)[-1]["mlpstorage"]["metrics"]["train"]
    assert (figures["samples"], figures["corrupt_reads"]) == (FILES, 0)
