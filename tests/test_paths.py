"""Users' paths: what is there, and the system's refusals as usage errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.paths import (
    TEMPORARY,
    existing_part,
    is_directory,
    is_file,
    look_up,
    temporary_name,
)

OPTION = "--mlps-x"


def test_path_is_looked_up(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "nowhere").symlink_to("missing")
    assert is_directory(OPTION, tmp_path)
    assert is_file(OPTION, tmp_path / "file")
    assert is_file(OPTION, tmp_path / "link")
    for missing in ("missing", "nowhere", "file/x", "missing/x/y"):
        assert look_up(OPTION, tmp_path / missing) is None
        assert not is_file(OPTION, tmp_path / missing)
    assert existing_part(OPTION, tmp_path / "missing" / "x") == tmp_path
    assert existing_part(OPTION, Path("missing")) == Path()


@pytest.mark.parametrize("name", ["x" * 300, "loop", "loop/x", "nul\0", "half \ud800"])
def test_path_that_the_system_refuses_is_a_usage_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for function in (look_up, is_file, is_directory, existing_part):
        with pytest.raises(InvalidInputError, match=r"^--mlps-x: got .*can be looked up"):
            function(OPTION, tmp_path / name)


@contextmanager
def another_user() -> Iterator[None]:
    """Access files as a user without rights."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may be another user")
def test_path_in_another_user_s_directory_is_a_usage_error(tmp_path: Path) -> None:
    directory = tmp_path / "private"
    directory.mkdir(mode=0o700)
    with another_user(), pytest.raises(InvalidInputError, match=r"got .*Permission denied"):
        look_up(OPTION, directory / "x")


def test_temporary_names_are_recognised_and_one_for_each_key() -> None:
    names = [temporary_name(), temporary_name(), temporary_name("a"), temporary_name("b")]
    assert all(map(TEMPORARY.fullmatch, names))
    assert len({*names, temporary_name("a")}) == len(names)
