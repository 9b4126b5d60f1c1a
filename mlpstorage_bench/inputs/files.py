"""Opening of users' files: regular files only, within limits, as UTF-8 text.

Every reader of the project opens its files here. Errors name the option, the file and the line.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from mlpstorage_bench.errors import InvalidFileError
from mlpstorage_bench.inputs.compression import (
    ALWAYS_ALLOWED,
    LARGEST_RATIO,
    buffered,
    decompressed,
)
from mlpstorage_bench.paths import InputFile

LONGEST_LINE = 8 << 20
"""Bytes of a line."""
_BUFFER = 1 << 16
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


@contextmanager
def open_bytes(file: InputFile, most: int) -> Iterator[io.BufferedReader]:
    """Open a file for reading its decompressed content of at most `most` bytes.

    InvalidFileError if it cannot be opened; reading raises OSError.
    """
    try:
        status = _regular(file, file.path.stat())  # first: to open a device may act on it
        descriptor = os.open(file.path, _FLAGS)
    except (OSError, ValueError) as error:
        raise InvalidFileError.of(file, _reason(error)) from error
    with io.BufferedReader(io.FileIO(descriptor), _BUFFER) as opened:
        status = _regular(file, os.fstat(descriptor))
        if status.st_size > most:
            raise InvalidFileError.of(file, _too_large(most))
        try:
            plain, is_compressed = decompressed(opened)
        except OSError as error:
            raise InvalidFileError.of(file, _reason(error)) from error
        ratio_limit = max(ALWAYS_ALLOWED, LARGEST_RATIO * status.st_size)
        limit = min(most, ratio_limit) if is_compressed else most
        yield buffered(_Limited(plain, limit, most))


def read_bytes(file: InputFile, most: int) -> bytes:
    """Return the content of a file of at most `most` bytes; InvalidFileError otherwise."""
    with open_bytes(file, most) as stream:
        try:
            return stream.read()
        except OSError as error:
            raise InvalidFileError.of(file, _reason(error)) from error


def read_text(file: InputFile, most: int) -> str:
    """Return the text of a whole file of at most `most` bytes; InvalidFileError otherwise."""
    return decoded(file, read_bytes(file, most).removeprefix(_BYTE_ORDER_MARK))


def decoded(file: InputFile, data: bytes, line: int = 1) -> str:
    """Return bytes of a file, which begin in this line, as text; InvalidFileError otherwise."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line += data.count(b"\n", 0, error.start)
        seen = f"byte 0x{data[error.start]:02x}"
        is_utf_16 = line == 1 and data.startswith(_UTF_16_MARKS)
        hint = "It is UTF-16: save it as UTF-8" if is_utf_16 else f"It is not UTF-8: {seen}"
        raise InvalidFileError.of(file, hint, line=line) from error


class Lines:
    """The lines of a file, without a byte order mark. Iterator; made by `open_lines`."""

    def __init__(self, file: InputFile, stream: io.BufferedReader) -> None:
        self.file = file
        self.number = 0
        """Number of the line that was read last, from 1."""
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = self._stream.readline(LONGEST_LINE + 1)
        except OSError as error:
            self.number += 1
            self.refuse(_reason(error))
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > LONGEST_LINE:
            self.refuse(f"The line has more than {LONGEST_LINE} bytes")
        if self.number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        return decoded(self.file, line, self.number)

    def refuse(self, problem: str, field: str = "") -> NoReturn:
        """Raise InvalidFileError for the line that was read last."""
        raise InvalidFileError.of(self.file, problem, line=self.number, field=field)


@contextmanager
def open_lines(file: InputFile, most: int) -> Iterator[Lines]:
    """Open a file to iterate over its lines; it has at most `most` bytes."""
    with open_bytes(file, most) as stream:
        yield Lines(file, stream)


class _Limited(io.RawIOBase):
    """A stream that raises OSError beyond its limit."""

    def __init__(self, stream: io.BufferedIOBase, limit: int, most: int) -> None:
        self._stream = stream
        self._left = limit
        self._problem = (
            _too_large(most)
            if limit == most
            else f"It has more than {limit} bytes, {LARGEST_RATIO} times its compressed size: "
            "decompress it first"
        )

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read the next bytes."""
        count = self._stream.readinto1(buffer)
        self._left -= count
        if self._left < 0:
            raise OSError(self._problem)
        return count


def _regular(file: InputFile, status: os.stat_result) -> os.stat_result:
    """Return the status of a regular file; InvalidFileError for a directory, pipe or device."""
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "of another kind")
        raise InvalidFileError.of(file, f"It is {kind}, and no regular file")
    return status


def _too_large(most: int) -> str:
    return f"It has more than {most} bytes, the most that is read"


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
