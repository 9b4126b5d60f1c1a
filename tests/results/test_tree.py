from __future__ import annotations

import errno
import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from mlpstorage_bench.errors import InvalidInputError, ResultsError
from mlpstorage_bench.paths import check_path_component, slugify
from mlpstorage_bench.results import tree
from mlpstorage_bench.results.tree import create_run_directory, write_json, write_text
from tests.conftest import Mount

PLACE = ("open", "acme", "array-9", "kv_cache", "llama3.1-8b", "run")


def test_runs_directory_and_files_are_named_as_the_rules_say(tmp_path: Path) -> None:
    location, started = create_run_directory(tmp_path, *PLACE)
    stamp = started.strftime("%Y%m%d_%H%M%S")
    below = f"open/acme/results/array-9/kv_cache/llama3.1-8b/run/{stamp}"
    assert location.directory == tmp_path / below
    assert location.metadata_path == location.directory / f"kv_cache_{stamp}_metadata.json"


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
    monkeypatch.setattr(tree, "datetime", clock)
    monkeypatch.setattr(tree, "time", clock)
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(create_run_directory, tmp_path, *PLACE) for _ in range(3)]
    assert len({future.result()[0].directory for future in futures}) == 3


def test_run_in_the_second_of_another_starts_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(tree, "datetime", clock)
    monkeypatch.setattr(tree, "time", clock)
    first, _ = create_run_directory(tmp_path, *PLACE)
    second, started = create_run_directory(tmp_path, *PLACE)
    assert int(second.timestamp[-6:]) == int(first.timestamp[-6:]) + 1
    assert started == clock.now()
    assert started.microsecond == 0


def test_results_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(InvalidInputError, match="--mlps-results-dir"):
        create_run_directory(tmp_path / "results", *PLACE)


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "a b", "ä", "a\n", "~", "$HOME"])
def test_unsafe_path_components_are_refused(value: str) -> None:
    with pytest.raises(InvalidInputError, match="--mlps-orgname"):
        check_path_component("--mlps-orgname", value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to others")
def test_link_of_another_user_on_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "results").mkdir()
    link = tmp_path / "results" / "open"
    link.symlink_to(tmp_path / "target")
    os.lchown(link, 65534, 65534)
    place = (tmp_path / "results", "open", "org", "system", "kv_cache", "model", "run")
    with pytest.raises(InvalidInputError, match=r"open is a link that another user \(65534\)"):
        create_run_directory(*place)
    assert list((tmp_path / "target").iterdir()) == []
    os.lchown(link, 0, 0)
    create_run_directory(*place)


@pytest.mark.slow
@given(st.text())
def test_slug_of_any_text_is_a_path_component(text: str) -> None:
    segment = slugify(text)
    assert check_path_component("x", segment) == segment


def test_write_replaces_the_whole_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = write_json(tmp_path / "deep" / "x.json", {"a": 1})
    write_json(path, {"b": [1, 2]})
    assert json.loads(path.read_text()) == {"b": [1, 2]}
    assert list(path.parent.iterdir()) == [path]


def test_numbers_and_characters_that_json_does_not_have_are_replaced(tmp_path: Path) -> None:
    content = {
        "a": [float("nan"), 1e999],
        "b": "half \ud800",
        "c": "\\ud800 \U0001f600",
        "d": 10**30,
    }
    text = write_json(tmp_path / "x.json", content).read_text()
    assert from_json(text) == {
        "a": [None, None],
        "b": "half \ufffd",
        "c": "\\ud800 \U0001f600",
        "d": 10**30,
    }


def test_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.json", "old")
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(path, {"a": object()})
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_mode_of_files_follows_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        path = write_text(tmp_path / "new" / "x.json", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o777 & ~umask


def test_files_are_written_where_no_mode_can_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refuse)
    monkeypatch.setattr(os, "chmod", refuse)
    assert write_text(tmp_path / "x.json", "text").read_text() == "text"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
def test_files_are_written_where_none_can_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    assert write_text(tmp_path / "x.json", "text").read_text() == "text"


def test_failed_sync_fails_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ResultsError, match="Input/output error"):
        write_text(tmp_path / "x.json", "text")
    assert list(tmp_path.iterdir()) == []


def test_name_may_have_the_longest_length(tmp_path: Path) -> None:
    path = write_text(tmp_path / ("x" * 250 + ".json"), "text")
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_keeps_the_old_file_and_leaves_no_other(mount: Mount) -> None:
    place = mount("tmpfs", "size=16k")
    path = write_text(place / "x.json", "old")
    with pytest.raises(ResultsError, match="No space left on device"):
        write_text(path, "new" * 10000)
    assert path.read_text() == "old"
    assert list(place.iterdir()) == [path]
