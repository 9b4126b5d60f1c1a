"""Copies of directories: regular files alone, byte for byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlpstorage_bench.submission.copies import copy_directory, copy_file


def test_copy_has_every_regular_file_and_nothing_else(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "below" / "target"
    (source / ".hidden" / "empty").mkdir(parents=True)
    (source / ".hidden" / "data").write_bytes(os.urandom(3_000_000))
    (source / "pointer").write_text("no line end")
    (source / "link").symlink_to("pointer")
    (source / "folder").symlink_to(tmp_path)
    os.mkfifo(source / "pipe")
    remarks = copy_directory(source, target)
    copied = {path.relative_to(target).as_posix() for path in target.rglob("*")}
    assert copied == {".hidden", ".hidden/data", ".hidden/empty", "pointer"}
    for name in (".hidden/data", "pointer"):
        assert (target / name).read_bytes() == (source / name).read_bytes()
    assert sorted(remark.partition(" is ")[0] for remark in remarks) == sorted(
        str(source / name) for name in ("folder", "link", "pipe")
    )


def test_existing_file_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("new")
    (tmp_path / "b").write_text("old")
    with pytest.raises(FileExistsError):
        copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "old"


def test_link_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content")
    (tmp_path / "link").symlink_to("a")
    assert not copy_file(tmp_path / "link", tmp_path / "b")
    assert not (tmp_path / "b").exists()
