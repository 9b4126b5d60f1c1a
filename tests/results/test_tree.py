from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from mlpstorage_bench.errors import InvalidInputError, ResultsError
from mlpstorage_bench.paths import check_path_component, slugify
from mlpstorage_bench.results.tree import write_json, write_text
from tests.conftest import Mount

PLACE = ("open", "acme", "array-9", "kv_cache", "llama3.1-8b", "run")


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "a b", "ä", "a\n", "~", "$HOME"])
def test_unsafe_path_components_are_refused(value: str) -> None:
    with pytest.raises(InvalidInputError, match="--mlps-orgname"):
        check_path_component("--mlps-orgname", value)


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
