"""A directory appears with all its content: a new one, and an empty one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.submission.whole_directory import whole_directory

NAMES = ("closed", "code-images")


def write(directory: Path, *, fails: bool = False) -> None:
    with whole_directory("--option", directory) as written:
        for name in NAMES:
            (written / name).mkdir()
            (written / name / "file").write_text(name)
            assert not (directory / name).exists()
            if fails:
                raise KeyboardInterrupt


def paths_in(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


@pytest.mark.parametrize("place", ["new", "below/new", "empty", "link"])
def test_content_appears_at_its_place_and_nothing_else(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    before = paths_in(tmp_path)
    write(tmp_path / place)
    assert paths_in(tmp_path / place) == {*NAMES, *(f"{name}/file" for name in NAMES)}
    parents = {"below"} if place == "below/new" else set()
    of_place = "empty" if place == "link" else place
    after = {path for path in paths_in(tmp_path) if not path.startswith(f"{of_place}/")}
    assert after == before | parents | {of_place}


@pytest.mark.parametrize("place", ["new", "empty"])
def test_nothing_stays_of_content_that_could_not_be_written(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / place, fails=True)
    assert paths_in(tmp_path) == {"empty"}


def test_directory_that_appeared_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match="not empty"),
        whole_directory("--option", tmp_path / "new"),
    ):
        (tmp_path / "new" / "of another").mkdir(parents=True)
    assert (tmp_path / "new" / "of another").is_dir()
