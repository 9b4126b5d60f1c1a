"""Files that are being written in a rank's directory are its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.process.removal import MANIFEST
from mlpstorage_bench.results.tree import write_json
from mlpstorage_bench.storage.own_files import is_own


def test_list_is_own_also_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: list[Path] = []
    replace = Path.replace

    def noted(self: Path, target: Path) -> Path:
        assert is_own(self)
        replaced.append(self)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", noted)
    written = write_json(tmp_path / MANIFEST, {})
    assert is_own(written)
    assert len(replaced) == 1
