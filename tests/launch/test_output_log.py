"""Copies of a launch's output: lines as people read them, without secrets, bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.launch import output_log
from mlpstorage_bench.launch.output_log import OutputLog


def written(path: Path, *parts: bytes) -> str:
    log = OutputLog(lambda: str(path))
    for part in parts:
        log.add(part)
    log.close()
    assert log.problem == ""
    return path.read_text()


def test_lines_are_kept_whatever_the_parts_in_which_they_come(tmp_path: Path) -> None:
    assert written(tmp_path / "log", b"one\ntw", b"o\n\nthr", b"ee") == "one\ntwo\n\nthree\n"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"title \x1b]0;x\x07", "title \\x1b]0;x\\x07"),
        (b"collecting 1\rcollected 2\r", "collected 2"),
        (b"bytes \xff", "bytes \ufffd"),
        (b"password=hunter2 left", "password=*** left"),
        (b"see https://me:pw@host/x", "see https://host/x"),
        ("≈ é".encode(), "≈ é"),
    ],
)
def test_line_has_no_control_character_and_no_secret(
    tmp_path: Path, line: bytes, kept: str
) -> None:
    assert written(tmp_path / "log", line + b"\n") == f"{kept}\n"


def test_secret_in_two_parts_is_removed(tmp_path: Path) -> None:
    assert written(tmp_path / "log", b"api_key=sec", b"ret next\n") == "api_key=*** next\n"


def test_rest_of_a_long_line_is_left_out(tmp_path: Path) -> None:
    text = written(tmp_path / "log", b"a " * 30_000, b"token=" + b"s" * 30_000, b"\nnext\n")
    line, following = text.splitlines()
    assert line.endswith("a ...")
    assert "s" not in line
    assert following == "next"


def test_copy_ends_at_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_log, "MOST_BYTES", 40)
    text = written(tmp_path / "log", *[b"a line of text\n"] * 100)
    assert text.splitlines() == [
        *["a line of text"] * 2,
        "mlpstorage: the rest of the output is not kept here",
    ]


def test_lines_wait_until_the_directory_is_known(tmp_path: Path) -> None:
    path: list[str] = []
    log = OutputLog(lambda: path[0] if path else None)
    log.add(b"before\n")
    path.append(str(tmp_path / "log"))
    log.add(b"after\n")
    assert (tmp_path / "log").read_text() == "before\nafter\n"
    log.close()


def test_run_that_goes_on_adds_to_its_copy(tmp_path: Path) -> None:
    written(tmp_path / "log", b"first part\n")
    assert written(tmp_path / "log", b"second part\n") == "first part\nsecond part\n"


@pytest.mark.slow
def test_launch_without_a_run_leaves_no_file(tmp_path: Path) -> None:
    log = OutputLog(lambda: None)
    log.add(b"no run\n" * 300_000)
    log.close()
    assert (log.problem, [*tmp_path.iterdir()]) == ("", [])


def test_link_is_not_followed_and_named(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "log").symlink_to(tmp_path / "theirs")
    log = OutputLog(lambda: str(tmp_path / "log"))
    log.add(b"ours\n")
    log.close()
    assert log.problem.startswith(f"{tmp_path}/log: ")
    assert (tmp_path / "theirs").read_text() == "theirs"
