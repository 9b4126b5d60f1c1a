"""Content of entries: duplication and incompressible, or with the configured ratios."""

from __future__ import annotations

import lzma
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.storage.buffers import AlignedBuffer
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking
from tests.lanes import LoneLane

SECTOR = 4096
ENTRY = 2 << 20


def content_of_files(
    folder: Path, payload: Payload, observer_class: Any, entries: int = 2
) -> bytes:
    """Write real files, and return their content."""
    files = EntryFiles(folder, FileIo("buffered"))
    with LoneLane(payload, Chunking(512 * 1024), threading.Event()) as lane:
        for number in range(entries):
            lane.write(files, f"{number}", ENTRY, observer_class())
    return b"".join(path.read_bytes() for path in sorted(folder.glob("*.kv")))


def duplication(content: bytes, block: int) -> float:
    blocks = [content[at : at + block] for at in range(0, len(content), block)]
    return len(blocks) / len(set(blocks))


@pytest.mark.slow
def test_default_content_is_unique_and_incompressible(tmp_path: Path, observer_class: Any) -> None:
    content = content_of_files(tmp_path, Payload(5), observer_class)
    assert duplication(content, SECTOR) == 1
    for compressed in (zlib.compress(content, 9), lzma.compress(content)):
        assert len(compressed) > 0.98 * len(content)


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [1.5, 2.0, 4.0])
def test_content_compresses_by_the_configured_ratio(
    tmp_path: Path, observer_class: Any, ratio: float
) -> None:
    content = content_of_files(tmp_path, Payload(5, compress_ratio=ratio), observer_class)
    assert len(content) / len(zlib.compress(content, 6)) == pytest.approx(ratio, rel=0.05)
    by_sector = sum(
        len(zlib.compress(content[at : at + SECTOR], 6)) for at in range(0, len(content), SECTOR)
    )
    assert len(content) / by_sector == pytest.approx(ratio, rel=0.08)  # headers of 4 KiB
    assert duplication(content, SECTOR) == 1


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [1.5, 2.0, 3.0])
@pytest.mark.parametrize("block_kib", [4, 16, 64])
def test_content_deduplicates_by_the_configured_ratio(
    tmp_path: Path, observer_class: Any, ratio: float, block_kib: int
) -> None:
    content = content_of_files(tmp_path, Payload(5, dedup_ratio=ratio), observer_class, entries=24)
    assert duplication(content, block_kib * 1024) == pytest.approx(ratio, rel=0.1)


@pytest.mark.slow
def test_both_ratios_apply_together(tmp_path: Path, observer_class: Any) -> None:
    content = content_of_files(
        tmp_path, Payload(5, compress_ratio=2.0, dedup_ratio=2.0), observer_class, entries=24
    )
    assert duplication(content, SECTOR) == pytest.approx(2, rel=0.1)
    assert len(content) / len(zlib.compress(content, 6)) >= 1.9


@pytest.mark.slow
@given(
    first=st.integers(0, 40),
    count=st.integers(1, 40),
    dedup=st.sampled_from([1.0, 2.0]),
    compress=st.sampled_from([1.0, 3.0]),
)
def test_content_does_not_depend_on_chunk_boundaries(
    first: int, count: int, dedup: float, compress: float
) -> None:
    payload = Payload(7, compress_ratio=compress, dedup_ratio=dedup)
    content = payload.content(payload.identity("entry", 0))
    whole, part = AlignedBuffer(300 * SECTOR), AlignedBuffer(count * SECTOR)
    start = 240 + first  # across the end of the pool of random sectors
    content.fill(whole, 300 * SECTOR, 0)
    content.fill(part, count * SECTOR, start * SECTOR)
    shared = min(count, 300 - start)
    expected = whole.bytes[start * SECTOR : (start + shared) * SECTOR]
    assert bytes(part.bytes[: shared * SECTOR]) == bytes(expected)


def test_seed_origin_name_and_generation_each_change_content() -> None:
    def made(seed: int, name: str, generation: int, origin: str = "") -> bytes:
        payload = Payload(seed, origin=origin)
        buffer = AlignedBuffer(SECTOR)
        payload.content(payload.identity(name, generation)).fill(buffer, SECTOR, 0)
        return bytes(buffer.bytes)

    first = made(1, "a", 0)
    assert made(1, "a", 0) == first
    others = (made(2, "a", 0), made(1, "b", 0), made(1, "a", 1), made(1, "a", 0, "rank 1"))
    assert len({first, *others}) == 5
