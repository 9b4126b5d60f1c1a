"""Output files of the user: inputs and foreign files are refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.paths import InputFile, OutputFile, check_outputs, open_output, starts_with

OURS = "ours\n"


def output(path: Path, option: str = "trace_out") -> OutputFile:
    return OutputFile(option, path, starts_with(OURS.encode()))


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """An input file with the content of an own output."""
    path = tmp_path / "recorded.csv"
    path.write_text(OURS)
    return path


def as_itself(path: Path) -> Path:
    return path


def as_hard_link(path: Path) -> Path:
    path.with_name("hard.csv").hardlink_to(path)
    return path.with_name("hard.csv")


def as_symbolic_link(path: Path) -> Path:
    path.with_name("soft.csv").symlink_to(path)
    return path.with_name("soft.csv")


def by_another_way(path: Path) -> Path:
    (path.parent / "way").symlink_to(path.parent)
    return path.parent / "way" / ".." / path.parent.name / path.name


@pytest.mark.parametrize(
    "named", [as_itself, as_hard_link, as_symbolic_link, by_another_way], ids=lambda f: f.__name__
)
def test_output_that_is_an_input_is_refused_with_both_options(
    recorded: Path, named: Callable[[Path], Path]
) -> None:
    message = r"trace_out: got .*It is the file of trace_in \(.*recorded.csv\), which is read"
    with pytest.raises(InvalidInputError, match=message):
        check_outputs([output(named(recorded))], [InputFile("trace_in", recorded)])
    assert recorded.read_text() == OURS


@pytest.mark.parametrize("exists", [False, True])
def test_outputs_of_two_options_that_are_one_file_are_refused(
    tmp_path: Path, recorded: Path, *, exists: bool
) -> None:
    path = recorded if exists else tmp_path / "new.md"
    (tmp_path / "way").symlink_to(tmp_path)
    other = output(tmp_path / "way" / path.name, "--mlps-report")
    message = r"trace_out: got .*--mlps-report writes the same file"
    with pytest.raises(InvalidInputError, match=message):
        check_outputs([other, output(path)], [])


def test_output_that_is_given_twice_is_accepted(tmp_path: Path) -> None:
    check_outputs([output(tmp_path / "new"), output(tmp_path / "new")], [])


@pytest.mark.parametrize("content", ["", OURS, OURS + "and more"])
def test_file_of_an_earlier_run_or_an_empty_one_is_overwritten(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "out"
    path.write_text(content)
    check_outputs([output(path)], [])
    with open_output(output(path)) as file:
        file.write(b"new")
    assert path.read_text() == "new"


def make_file(path: Path) -> None:
    path.write_text("years of work")


def make_link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


def make_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_file, "no run of mlpstorage_bench has written it"),
        (Path.mkdir, "no regular file"),
        (os.mkfifo, "no regular file"),
        (make_link_to_nothing, "a link to a file that does not exist"),
        (make_loop, "Too many levels of symbolic links"),
    ],
)
def test_foreign_file_is_refused_and_kept(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "out"
    make(path)
    before = path.lstat()
    with pytest.raises(InvalidInputError, match=rf"trace_out: got .*out'.*{message}"):
        check_outputs([output(path)], [])
    with pytest.raises(InvalidInputError, match="trace_out: got"):
        open_output(output(path))
    after = path.lstat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (
        before.st_ino,
        before.st_size,
        before.st_mtime_ns,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["no/such/directory", "n" * 300, "a\0b"])
def test_output_that_cannot_be_created_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="trace_out: got"):
        check_outputs([output(tmp_path / name)], [])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user as well")
def test_link_of_another_user_is_refused(recorded: Path) -> None:
    link = recorded.with_name("link.csv")
    link.symlink_to(recorded)
    check_outputs([output(link)], [])  # one's own
    os.chown(link, 65534, 65534, follow_symlinks=False)
    with pytest.raises(InvalidInputError, match="It is a link that another user"):
        check_outputs([output(link)], [])
    with pytest.raises(InvalidInputError, match="It is a link that another user"):
        open_output(output(link))
    assert recorded.read_text() == OURS
