"""Notes on a filesystem without direct I/O: what the page cache does to files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.storage.direct_io import DirectIo
from mlpstorage_bench.trial import storage_modes
from mlpstorage_bench.trial.storage_modes import StorageModes


@pytest.mark.parametrize(
    ("keeps_pages", "use"),
    [
        (False, "which is flushed and dropped around each entry"),
        (True, "as those of other programs do"),
    ],
)
def test_the_note_on_missing_direct_io_says_how_files_use_the_page_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, keeps_pages: bool, use: str
) -> None:
    monkeypatch.setattr(storage_modes, "probe_direct_io", lambda _: DirectIo(None, "refused"))
    site = RankSite("here", tmp_path, is_first_on_host=False)
    modes = StorageModes(site, tmp_path, {None}, keeps_pages=keeps_pages)
    assert modes.probe() == [
        f"no direct I/O in {tmp_path} (refused): files go through the page cache, {use}"
    ]
