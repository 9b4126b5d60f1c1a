"""A rank's directory that several engines use: claimed once, removed by the last."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.storage.directory import RankDirectory
from mlpstorage_bench.trial.shared_directory import claimed


@pytest.mark.starts_process
def test_the_last_of_two_engines_removes_the_directory(tmp_path: Path) -> None:
    own = tmp_path / "rank_0"
    with claimed(RankDirectory(tmp_path, 0)):
        with claimed(RankDirectory(tmp_path, 0)):
            assert own.is_dir()
        assert own.is_dir()
    assert not own.exists()


@pytest.mark.starts_process
def test_a_directory_can_be_claimed_again_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claimed(RankDirectory(tmp_path, 0)):
        raise ZeroDivisionError
    with claimed(RankDirectory(tmp_path, 0)):
        assert (tmp_path / "rank_0").is_dir()
    assert not (tmp_path / "rank_0").exists()
