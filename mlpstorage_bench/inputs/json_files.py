"""JSON in users' files: an object a line, and long lists element by element."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from mlpstorage_bench.errors import InvalidFileError
from mlpstorage_bench.inputs.files import LONGEST_LINE, Lines, open_bytes
from mlpstorage_bench.paths import InputFile

LONGEST_ELEMENT = LONGEST_LINE
"""Characters of an element of a list."""
_PART = 1 << 18
_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()
_AFTER = frozenset(" \t\r\n,]")
"""Characters that may follow an element."""
_ERRORS = (ValueError, RecursionError)
"""Errors of the parser: a number of many digits is a ValueError."""


def json_lines(lines: Lines) -> Iterator[dict[str, Any]]:
    """Yield the JSON object of each line that is not blank."""
    for line in lines:
        if line.isspace():
            continue
        try:
            value = json.loads(line)
        except _ERRORS as error:
            lines.refuse(no_json(error))
        if not isinstance(value, dict):
            lines.refuse("It is no JSON object")
        yield value


def no_json(error: Exception) -> str:
    """Return the reason why text is no JSON, from the parser's error."""
    if isinstance(error, json.JSONDecodeError):
        return f"It is no JSON: {error.msg} at column {error.colno}"
    if isinstance(error, RecursionError):
        return "It is no JSON that can be read: its values are nested too deeply"
    return f"It is no JSON that can be read: {error}"


class JsonStream:
    """Text of a JSON file that is read in parts; made by `open_json`."""

    def __init__(self, file: InputFile, stream: io.BufferedReader) -> None:
        self.file = file
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        """Text that was read; what comes before `_at` is consumed."""
        self._at = 0
        self._line = 1
        """Line at `_at`."""
        self._is_complete = False

    def until(self, mark: re.Pattern[str], most: int) -> str | None:
        """Consume and return the text up to the end of a mark; None if `most` have none."""
        while not (found := mark.search(self._text, self._at)):
            if len(self._text) - self._at > most or not self._read():
                return None
        return self._consume(found.end())

    def elements(self) -> Iterator[Any]:
        """Yield the elements of a list whose bracket was consumed, and consume its end."""
        if self._next() == "]":
            self._consume(self._at + 1)
            return
        while True:
            yield self._element()
            separator = self._next()
            self._consume(self._at + 1)
            if separator == "]":
                return
            if separator != ",":
                self.refuse(f"It is no JSON: an element is followed by {separator!r}")
            self._next()

    def rest(self, most: int) -> str:
        """Consume and return the remaining text, at most `most` characters."""
        while self._read():
            if len(self._text) - self._at > most:
                self.refuse(f"More than {most} characters follow the list")
        return self._consume(len(self._text))

    def refuse(self, problem: str, field: str = "") -> NoReturn:
        """Raise InvalidFileError for the line that has been reached."""
        raise InvalidFileError.of(self.file, problem, line=self._line, field=field)

    def _element(self) -> Any:
        """Return the next element, which starts here."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError as error:
                self.refuse(no_json(error))
            except ValueError as error:
                if not self._grow():
                    if isinstance(error, json.JSONDecodeError):
                        self._consume(error.pos)
                    self.refuse(_no_element(error))
                continue
            if self._text[end : end + 1] not in _AFTER and self._grow():
                continue  # the rest of a number, or a separator, is still to be read
            self._consume(end)
            return value

    def _grow(self) -> bool:
        """Read as much again as is there; False at the end or beyond the limit of an element."""
        unread = len(self._text) - self._at
        if unread > LONGEST_ELEMENT:
            return False
        grown = self._read()
        while len(self._text) - self._at < 2 * unread and self._read():
            pass
        return grown

    def _next(self) -> str:
        """Return the next character that is not blank, after blanks were consumed."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            assert blank is not None
            self._consume(blank.end())
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read():
                self.refuse("It is no JSON: it ends within a list")

    def _consume(self, end: int) -> str:
        """Consume and return the text up to a position."""
        consumed = self._text[self._at : end]
        self._line += consumed.count("\n")
        self._at = end
        return consumed

    def _read(self) -> bool:
        """Read a part; False at the end of the file."""
        if self._is_complete:
            return False
        try:
            data = self._stream.read1(_PART)
            self._text = self._text[self._at :] + self._decode.decode(data, final=not data)
        except OSError as error:
            self.refuse(error.strerror or str(error))
        except UnicodeDecodeError as error:
            self._consume(len(self._text))
            self.refuse(f"It is not UTF-8: byte 0x{error.object[error.start]:02x}")
        self._at = 0
        self._is_complete = not data
        return bool(data)


@contextmanager
def open_json(file: InputFile, most: int) -> Iterator[JsonStream]:
    """Open a JSON file of at most `most` bytes, to read the elements of its long list."""
    with open_bytes(file, most) as stream:
        yield JsonStream(file, stream)


def _no_element(error: ValueError) -> str:
    """Return the reason why an element is no JSON; its columns count from the element."""
    if isinstance(error, json.JSONDecodeError):
        return f"It is no JSON: {error.msg}"
    return no_json(error)
