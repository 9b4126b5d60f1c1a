from __future__ import annotations

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError, ResultsError
from mlpstorage_bench.history.metadata_files import MetadataFiles
from mlpstorage_bench.leaves.place import TIMESTAMP
from mlpstorage_bench.results import run_directory
from mlpstorage_bench.results.run_directory import (
    begin_run_directory,
    discarded_on_failure,
    finish_run_directory,
    whole_run_directory,
)
from mlpstorage_bench.results.tree import write_text
from mlpstorage_bench.validation.tree import read_tree

PLACE = ("open", "acme", "array-9", "kv_cache", "llama3.1-8b", "run")


def test_runs_directory_and_files_are_named_as_the_rules_say(tmp_path: Path) -> None:
    location, started = begin_run_directory(tmp_path, *PLACE)
    stamp = started.strftime("%Y%m%d_%H%M%S")
    below = f"open/acme/results/array-9/kv_cache/llama3.1-8b/run/{stamp}"
    assert location.directory == tmp_path / below
    made = finish_run_directory(location)
    assert made.metadata_path == location.directory / f"kv_cache_{stamp}_metadata.json"


class Clock:
    """A clock that only sleep moves: a quarter of a second of it is left until the next second."""

    def __init__(self) -> None:
        self._now = datetime(2026, 8, 1, 12, 0, 0, 750_000, tzinfo=UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._now

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 1
        with self._lock:
            self._now += timedelta(seconds=seconds)


def test_runs_in_the_same_second_have_separate_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(run_directory, "datetime", clock)
    monkeypatch.setattr(run_directory, "time", clock)
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(begin_run_directory, tmp_path, *PLACE) for _ in range(3)]
    assert len({future.result()[0].directory for future in futures}) == 3


def test_run_in_the_second_of_another_starts_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(run_directory, "datetime", clock)
    monkeypatch.setattr(run_directory, "time", clock)
    first, _ = begin_run_directory(tmp_path, *PLACE)
    second, started = begin_run_directory(tmp_path, *PLACE)
    assert int(second.timestamp[-6:]) == int(first.timestamp[-6:]) + 1
    assert started == clock.now()
    assert started.microsecond == 0


def test_results_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(InvalidInputError, match="--mlps-results-dir"):
        begin_run_directory(tmp_path / "results", *PLACE)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to others")
def test_link_of_another_user_on_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "results").mkdir()
    link = tmp_path / "results" / "open"
    link.symlink_to(tmp_path / "target")
    os.lchown(link, 65534, 65534)
    place = (tmp_path / "results", "open", "org", "system", "kv_cache", "model", "run")
    with pytest.raises(InvalidInputError, match=r"open is a link that another user \(65534\)"):
        begin_run_directory(*place)
    assert list((tmp_path / "target").iterdir()) == []
    os.lchown(link, 0, 0)
    begin_run_directory(*place)


def runs_in(results: Path) -> list[Path]:
    """Return the directories that readers take for runs."""
    return [path for path in results.rglob("*") if TIMESTAMP.fullmatch(path.name)]


def test_directory_appears_with_its_files(tmp_path: Path) -> None:
    location, _ = begin_run_directory(tmp_path, *PLACE)
    write_text(location.metadata_path, "{}")
    write_text(location.written_in / "option_1" / "x.json", "{}")
    assert runs_in(tmp_path) == []
    made = finish_run_directory(location)
    assert runs_in(tmp_path) == [made.directory] == [location.directory]
    assert made.metadata_path.read_text() == "{}"
    assert (made.directory / "option_1" / "x.json").read_text() == "{}"
    assert [path.name for path in tmp_path.iterdir()] == ["open"]


def test_directory_that_has_not_appeared_is_no_run_to_any_reader(tmp_path: Path) -> None:
    location, _ = begin_run_directory(tmp_path, *PLACE)
    write_text(location.metadata_path, "{}")
    assert MetadataFiles(tmp_path).found == []
    with pytest.raises(InvalidInputError, match="a run's directory"):
        read_tree(tmp_path)
    assert list(location.directory.parent.iterdir()) == []


def test_run_in_the_second_of_one_that_has_appeared_starts_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(run_directory, "datetime", clock)
    monkeypatch.setattr(run_directory, "time", clock)
    first = finish_run_directory(begin_run_directory(tmp_path, *PLACE)[0])
    second, _ = begin_run_directory(tmp_path, *PLACE)
    assert int(second.timestamp[-6:]) == int(first.timestamp[-6:]) + 1


def test_failure_before_the_directory_appears_leaves_nothing(tmp_path: Path) -> None:
    location, _ = begin_run_directory(tmp_path, *PLACE)
    write_text(location.metadata_path, "{}")
    with pytest.raises(KeyboardInterrupt), discarded_on_failure(location):
        raise KeyboardInterrupt
    assert runs_in(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["open"]


def refuse_rename(*_: object) -> None:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def test_directory_is_copied_where_it_cannot_be_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location, _ = begin_run_directory(tmp_path, *PLACE)
    write_text(location.metadata_path, "{}")

    monkeypatch.setattr(Path, "rename", refuse_rename)
    assert finish_run_directory(location).metadata_path.read_text() == "{}"
    assert [path.name for path in tmp_path.iterdir()] == ["open"]


def test_copy_that_fails_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location, _ = begin_run_directory(tmp_path, *PLACE)
    write_text(location.metadata_path, "{}")
    (location.written_in / "z.json").symlink_to("nowhere")  # which cannot be copied
    monkeypatch.setattr(Path, "rename", refuse_rename)
    with pytest.raises(ResultsError), discarded_on_failure(location):
        finish_run_directory(location)
    assert runs_in(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["open"]


def test_copy_replaces_no_files_of_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location, _ = begin_run_directory(tmp_path, *PLACE)
    other = write_text(location.directory / "x.json", "{}")
    monkeypatch.setattr(Path, "rename", refuse_rename)
    with pytest.raises(ResultsError, match="exists"):
        finish_run_directory(location)
    assert other.read_text() == "{}"


def test_files_of_another_run_are_not_replaced(tmp_path: Path) -> None:
    location, _ = begin_run_directory(tmp_path, *PLACE)
    other = write_text(location.directory / "x.json", "{}")
    with pytest.raises(ResultsError, match="not empty"):
        finish_run_directory(location)
    assert other.read_text() == "{}"


def test_whole_run_appears_at_once_and_is_replaced_in_its_place(tmp_path: Path) -> None:
    location = finish_run_directory(begin_run_directory(tmp_path, *PLACE)[0])
    location.directory.rmdir()
    with whole_run_directory(location) as written:
        write_text(written.metadata_path, "1")
        assert runs_in(tmp_path) == []
    assert location.metadata_path.read_text() == "1"
    with whole_run_directory(location) as written:
        write_text(written.metadata_path, "2")
    assert location.metadata_path.read_text() == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["open"]
