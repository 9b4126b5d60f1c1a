"""Standard output: in every encoding that a terminal or pipe may have."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import TextIO

from mlpstorage_bench.escaping import for_terminal_lines

_SIMPLE = {
    "│": "|",
    "┤": "|",
    "└": "+",
    "─": "-",
    "●": "*",
    "…": "...",
    "±": "+-",
    "÷": "/",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
}
"""Characters of tables, charts and notes → what stands for them where they cannot be written."""


_UNKNOWN_WIDTH = 200
"""Columns of a file, a pipe, or the terminal that a launcher of MPI gives a rank."""


def text_width() -> int:
    """Return the columns of the terminal, or of `COLUMNS`; plenty where there is none."""
    return shutil.get_terminal_size((_UNKNOWN_WIDTH, 24)).columns


_UNBROKEN = "\N{NO-BREAK SPACE}"
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=%|[GMK]iB|m?s\b)")
"""Space between a number and its unit, which stay on one line."""
_LEAST_INDENTED = 40
"""Columns beside an indent below which a terminal is too narrow to indent text."""


def prose_lines(text: str, indent: int, *, is_terminal: bool) -> list[str]:
    """Return a sentence in lines of a terminal, all but the first of them indented.

    Elsewhere it stays one line, which programs can search; so it does in the terminal of unknown
    width that a launcher of MPI gives a rank.
    """
    width = shutil.get_terminal_size((0, 0)).columns
    if not is_terminal or not width:
        return [text]
    lines = textwrap.wrap(
        _BEFORE_UNIT.sub(_UNBROKEN, text),
        width,
        subsequent_indent=" " * (indent if width - indent >= _LEAST_INDENTED else 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_UNBROKEN, " ") for line in lines]


def write_text(text: str) -> None:
    """Write text for people; characters that the encoding lacks are replaced."""
    _write(sys.stdout, text)


def write_lines(lines: Iterable[str]) -> None:
    """Write lines for people; characters that the encoding lacks are replaced."""
    write_text("".join(f"{line}\n" for line in lines))


def write_data(text: str) -> None:
    """Write text for programs, in UTF-8 whatever the locale's encoding is.

    On a terminal it is for people: control characters in it do nothing.
    """
    binary = getattr(sys.stdout, "buffer", None)
    if sys.stdout.isatty():
        write_text(for_terminal_lines(text))
    elif binary is None:  # a program has replaced standard output
        write_text(text)
    else:
        sys.stdout.flush()
        binary.write(text.encode("utf-8", "surrogateescape"))
        binary.flush()


def writable(text: str, encoding: str) -> str:
    """Return the text, with characters that the encoding lacks replaced."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate({ord(one): _replacement(one, encoding) for one in set(text)})
    return text


def _write(stream: TextIO, text: str) -> None:
    stream.write(writable(text, getattr(stream, "encoding", None) or "utf-8"))


def _replacement(character: str, encoding: str) -> str:
    """Return a character, or what stands for it if the encoding does not have it."""
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return _SIMPLE.get(character, ascii(character)[1:-1])
    return character
