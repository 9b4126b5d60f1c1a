"""Content of the files that a trial writes to storage."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import xxhash

from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.paths import digest_name
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.store import Observer
from mlpstorage_bench.units import MIB
from tests.trials import SoloRanks, context, served, workload
from tests.variants import first_of

pytestmark = pytest.mark.slow

SECTOR = 4096


class Inspected(EntryFiles):
    """Entry files whose content is recorded on completion, and whose sizes on removal."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, FileIo("buffered"))
        self.folder = folder
        self.sectors: list[bytes] = []
        """Digests of all entries."""
        self.compressed_bytes = 0
        self.complete: dict[str, int] = {}
        """Sizes of existing entries, by name."""
        self.written_bytes = 0
        self.gone: list[int] = []
        """Sizes of removed entries, in order of removal."""

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[Any]:
        with super().writer(name, size, observer) as writer:
            yield writer
        content = (self.folder / f"{digest_name(name)}.kv").read_bytes()
        self.complete[name] = len(content)
        self.written_bytes += len(content)
        parts = (content[at : at + SECTOR] for at in range(0, len(content), SECTOR))
        self.sectors += [xxhash.xxh3_128_digest(part) for part in parts]
        self.compressed_bytes += len(zlib.compress(content, 1))

    def delete(self, name: str) -> None:
        super().delete(name)
        if name in self.complete:
            self.gone.append(self.complete.pop(name))


def inspected(folder: Path, rank: int = 0, **changes: Any) -> Inspected:
    """Run a trial on one lane, for a fixed order of operations, and return its store."""
    store = Inspected(folder)
    here = dataclasses.replace(context(folder, capacity=12 * MIB), rank=rank)
    asked = workload(requests=60, duration=60.0, max_concurrent_allocs=1, **changes)
    result = run_trial(asked, here, SoloRanks(), lambda *_: store)
    assert (result.closed_by, result.requests.corrupt_reads) == ("number of requests", 0)
    assert store.written_bytes > 12 * MIB, "there were no evictions"
    account = result.storage
    assert account.written_bytes == store.written_bytes
    resident = store.gone[len(store.gone) - account.entries :]  # removed when the cache is closed
    assert account.evicted_bytes == store.written_bytes - sum(resident) > 0
    assert store.complete == {}
    return store


@pytest.mark.long
def test_content_is_unique_over_ranks_and_trials(tmp_path: Path) -> None:
    """Ranks that share the users of one profile have equal seeds and equal lane names."""
    seen: list[bytes] = []
    for rank in (0, 0, 1):
        seen += inspected(tmp_path, rank, precondition="steady", precondition_gb=0.01).sectors
    assert len(set(seen)) == len(seen)


@pytest.mark.long
def test_accounts_equal_the_sizes_of_the_files(tmp_path: Path) -> None:
    store = inspected(tmp_path)
    assert len(store.gone) > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize("ratio", first_of(2.0, 1.0, 4.0))
def test_compress_ratio_of_the_profile_is_that_of_its_files(tmp_path: Path, ratio: float) -> None:
    store = inspected(tmp_path, compress_ratio=ratio)
    assert store.written_bytes / store.compressed_bytes == pytest.approx(ratio, rel=0.08)


@pytest.mark.long
@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_dedup_ratio_of_the_profile_is_that_of_its_files(tmp_path: Path, ratio: float) -> None:
    store = inspected(tmp_path, dedup_ratio=ratio)
    shared = 0 if ratio == 1 else MIB // SECTOR
    unique = len(set(store.sectors)) - shared
    assert len(store.sectors) / unique == pytest.approx(ratio, rel=0.15)


@pytest.mark.parametrize("layout", first_of("block", "entry", "slab"))
@pytest.mark.parametrize(("durability", "syncs"), first_of(("fsync", True), ("none", False)))
def test_durability_of_the_profile_applies_to_every_layout(
    tmp_path: Path, layout: str, durability: str, *, syncs: bool
) -> None:
    if not probe_direct_io(tmp_path).is_available:
        pytest.skip("without direct I/O files are synced always")
    result = served(tmp_path, layout=layout, durability=durability, tokens_per_block=40)
    writes = result.operation("storage", "write")
    assert writes.moved_bytes > 0
    assert (writes.durability.count > 0) == syncs
