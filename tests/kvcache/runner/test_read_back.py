"""A sample of the written data is read back and checked after a window without checks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.kvcache.results.notes import notes_on
from mlpstorage_bench.kvcache.results.pooling import pool_trial
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.store import Observer
from mlpstorage_bench.units import MIB
from tests.trials import SoloRanks, context, served, trial, workload

pytestmark = pytest.mark.slow


def cut_to_half(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


class DamagedLater(EntryFiles):
    """Files that are damaged once they are complete, when the next one is created."""

    def __init__(self, folder: Path, damage: Callable[[Path], None]) -> None:
        super().__init__(folder, FileIo("buffered"))
        self._folder, self._damage = folder, damage

    def writer(self, name: str, size: int, observer: Observer) -> Any:
        for path in self._folder.glob("*.kv"):
            self._damage(path)
        return super().writer(name, size, observer)


def prefilled(folder: Path, damage: Callable[[Path], None], **changes: Any) -> RankTrial:
    """Run prefill alone on one lane, over files that are damaged once they are written."""
    asked = workload(
        **{
            "phase": "prefill",
            "requests": 12,
            "duration": 60.0,
            "max_concurrent_allocs": 1,
            **changes,
        }
    )
    return run_trial(asked, context(folder), SoloRanks(), lambda *_: DamagedLater(folder, damage))


def notes(result: RankTrial) -> str:
    return "; ".join(notes_on([pool_trial(1, [result])]))


@pytest.mark.parametrize("layout", ["entry", "block", "slab"])
def test_prefill_alone_is_read_back_outside_of_window_and_audit(
    tmp_path: Path, layout: str
) -> None:
    result = served(tmp_path, phase="prefill", layout=layout, tokens_per_block=40)
    reads, writes = result.stored
    assert result.read_back_chunks >= writes.chunks - 4 > 0, "all fit read_back_gb"
    assert (reads.total_bytes, reads.chunks, reads.verified_chunks) == (0, 0, 0)
    if result.process_traffic is not None:
        assert result.process_traffic.read_bytes < writes.moved_bytes / 10
    assert "nothing was verified" not in notes(result)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_cut_to_half_fail_a_trial_that_only_writes(tmp_path: Path) -> None:
    result = prefilled(tmp_path, cut_to_half)
    assert isinstance(result.failure, StorageError)
    assert re.search(r"reading .*\.kv failed: the file ends at offset", str(result.failure))
    assert "read back" in result.failure.__notes__[0]
    assert result.requests.requests == 12, "figures are kept"
    assert list(tmp_path.iterdir()) == []


def test_content_that_is_lost_is_counted_and_the_first_is_described(tmp_path: Path) -> None:
    result = prefilled(tmp_path, zero)
    assert result.failure is None
    assert result.requests.corrupt_reads > 0
    assert "the first of them is all zeros" in result.corruption


def test_sample_is_as_large_as_its_setting(tmp_path: Path) -> None:
    small = served(tmp_path, phase="prefill", read_back_gb=MIB / (1 << 30))
    assert small.read_back_chunks == MIB // (64 << 10)
    least = served(tmp_path, phase="prefill", read_back_gb=1e-9)
    assert least.read_back_chunks == 1


@pytest.mark.parametrize("changes", [{"read_back_gb": 0.0}, {"verify_rate": 0.0}])
def test_run_that_verifies_nothing_has_a_note(tmp_path: Path, changes: dict[str, Any]) -> None:
    result = served(tmp_path, phase="prefill", **changes)
    assert result.read_back_chunks == 0
    assert "nothing was verified in trial 1: wrong data would not have been noticed" in notes(
        result
    )


def test_reads_that_are_not_checked_have_a_note(tmp_path: Path) -> None:
    assert "nothing was verified in trial 1" in notes(served(tmp_path, verify_rate=0.0))


def test_verified_reads_are_enough(tmp_path: Path) -> None:
    result = trial(tmp_path)
    assert result.read_back_chunks == 0
    assert "nothing was verified" not in notes(result)
