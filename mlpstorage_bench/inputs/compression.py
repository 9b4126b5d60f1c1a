"""Decompression of gzip and zstd, recognised by their first bytes; a truncated file is an error."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any, BinaryIO

LARGEST_RATIO = 200
"""Most bytes that a byte of a compressed file may stand for: recorded workloads reach 75."""
ALWAYS_ALLOWED = 1 << 20
"""Bytes that a compressed file may contain, however small it is."""
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_SKIPPABLE = tuple(bytes([0x50 + number, 0x2A, 0x4D, 0x18]) for number in range(16))
"""First bytes of a zstd frame without content; parallel compressors write them first."""
_OTHERS: Mapping[bytes, str] = {
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
}
_LARGEST_WINDOW = 1 << 27
"""Memory for a zstd frame: that of the command-line tool without --long."""
_STEP = 1024
"""Compressed bytes at a time: zstd makes at most 32 MiB of them."""


class CompressionError(OSError):
    """A file cannot be decompressed; the text says why."""


def decompressed(file: io.BufferedReader[Any]) -> tuple[io.BufferedIOBase, bool]:
    """Return a stream of the content, and whether the file is compressed."""
    beginning = file.peek(8)[:8]
    if beginning.startswith(_GZIP):
        return buffered(_Gzip(file)), True
    if beginning.startswith((_ZSTD, *_SKIPPABLE)):
        return buffered(_Zstd(file, _zstandard())), True
    for magic, name in _OTHERS.items():
        if beginning.startswith(magic):
            raise CompressionError(f"It is a {name} file: decompress it, or use gzip or zstd")
    return file, False


def buffered(stream: io.RawIOBase) -> io.BufferedReader:
    """Return a stream with a buffer."""
    return io.BufferedReader(stream)


class _Gzip(io.RawIOBase):
    """Content of a gzip file; CompressionError if it is damaged or ends early."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = gzip.GzipFile(fileobj=file, mode="rb")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read the next bytes of content."""
        try:
            data = self._file.read1(len(buffer))
        except EOFError as error:
            raise CompressionError("It is truncated: its gzip stream has no end") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise CompressionError(f"It is a damaged gzip file: {error}") from error
        buffer[: len(data)] = data
        return len(data)


class _Zstd(io.RawIOBase):
    """Content of the frames of a zstd file; CompressionError if one is damaged or ends early."""

    def __init__(self, file: BinaryIO, zstandard: ModuleType) -> None:
        self._file = file
        self._error = zstandard.ZstdError
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        self._frame = None
        self._following = b""
        """Compressed bytes after the last frame that has ended."""
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read the next bytes of content."""
        while not self._plain:
            data = self._following or self._file.read(_STEP)
            self._following = b""
            if not data:
                if self._frame is None:
                    return 0
                raise CompressionError("It is truncated: its last zstd frame has no end")
            self._decompress(data)
        count = min(len(buffer), len(self._plain))
        buffer[:count] = self._plain[:count]
        self._plain = self._plain[count:]
        return count

    def _decompress(self, data: bytes) -> None:
        frame = self._frame or self._decompressor.decompressobj()
        try:
            self._plain = memoryview(frame.decompress(data))
        except self._error as error:
            raise CompressionError(f"It is a damaged zstd file: {error}") from error
        self._frame = None if frame.eof else frame
        self._following = frame.unused_data if frame.eof else b""


def _zstandard() -> ModuleType:
    """Return the module `zstandard`, which belongs to the extra `traces`."""
    try:
        import zstandard  # noqa: PLC0415 - optional dependency
    except ImportError as error:
        raise CompressionError(
            "It is compressed with zstd, for which zstandard is not installed: "
            "pip install 'mlpstorage-bench[traces]'"
        ) from error
    return zstandard
