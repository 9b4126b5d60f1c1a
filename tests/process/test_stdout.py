"""Output of commands does not fail in any encoding, and data is the same in all of them."""

from __future__ import annotations

import io
import os
import sys

import pytest

from mlpstorage_bench.process.stdout import prose_lines, write_data, write_lines

TEXT = "│ 1.5 ± 3 % · café \udcff"


def written(monkeypatch: pytest.MonkeyPatch, encoding: str, *, data: bool = False) -> bytes:
    binary = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(binary, encoding=encoding))
    if data:
        write_data(TEXT)
    else:
        write_lines([TEXT])
    sys.stdout.flush()
    return binary.getvalue()


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "│ 1.5 ± 3 % · café \\udcff\n".encode()),
        ("ascii", b"| 1.5 +- 3 % \\xb7 caf\\xe9 \\udcff\n"),
        ("latin-1", b"| 1.5 \xb1 3 % \xb7 caf\xe9 \\udcff\n"),
    ],
)
def test_characters_that_the_encoding_lacks_are_replaced(
    monkeypatch: pytest.MonkeyPatch, encoding: str, expected: bytes
) -> None:
    assert written(monkeypatch, encoding) == expected


def test_data_is_in_utf_8_in_every_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = TEXT.encode("utf-8", "surrogateescape")
    assert written(monkeypatch, "ascii", data=True) == expected


def test_output_that_a_program_has_replaced_gets_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", text := io.StringIO())
    write_lines(["●"])
    write_data("é\n")
    assert text.getvalue() == "●\né\n"


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_control_characters_in_data_do_not_reach_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    write_data("a,\x1b[2J\nb,c\n")
    assert terminal.getvalue() == "a,\\x1b[2J\nb,c\n"


def test_sentence_is_wrapped_between_words_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = "note: /mnt/array/of-a-name-that-is-longer-than-the-terminal is a word, and long"
    wrapped = prose_lines(text, 2, is_terminal=True)
    assert wrapped == [
        "note:",
        "  /mnt/array/of-a-name-that-is-longer-than-the-terminal",
        "  is a word, and long",
    ]
    assert prose_lines(text, 26, is_terminal=True) == wrapped, "too narrow for a deep indent"
    assert prose_lines(text, 2, is_terminal=False) == [text]
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr(os, "get_terminal_size", lambda _fd: os.terminal_size((0, 0)))
    assert prose_lines(text, 2, is_terminal=True) == [text], "a rank's terminal"


def test_number_and_its_unit_stay_on_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "41")
    assert prose_lines("all of the 1 GiB/s that was read, and 95 % of it", 2, is_terminal=True) == [
        "all of the 1 GiB/s that was read, and",
        "  95 % of it",
    ]
