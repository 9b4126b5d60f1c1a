"""Interface of a format that a library writes and reads, and the content of its samples.

Libraries read through the page cache, in a call of their own: what they moved is known from the
file, and its time is that of the call, with the decoding.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import NamedTuple, Protocol

import numpy as np
import xxhash
from numpy.typing import NDArray

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.storage.buffers import SECTOR_BYTES, aligned_buffer
from mlpstorage_bench.storage.payload import Payload

EXTRA = "mlpstorage-bench[training]"


class ReadGroup(NamedTuple):
    """A group that a library has read."""

    moved_bytes: int
    """Bytes of the file that it had to read."""
    digest: int
    """Digest of the decoded content."""


class LibraryFormat(Protocol):
    """Writes whole files, and reads groups of them."""

    def write(self, path: str, file: int) -> list[int]:
        """Write a file under a path, and return the digest of each group. Raises OSError."""
        ...

    def read(self, file: int, number: int) -> ReadGroup:
        """Read and decode a group. Raises OSError, or ValueError for content of another format."""
        ...


def library(name: str, module: str) -> ModuleType:
    """Return the module of a format's library; InvalidInputError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InvalidInputError(
            "format",
            name,
            "raw, or a format whose library is installed",
            hint=f"There is no module {module}. Install {EXTRA}",
        ) from error


def content_of(payload: Payload, name: str, size: int) -> NDArray[np.uint8]:
    """Return `size` bytes that are a function of the payload and a name."""
    stored = max(SECTOR_BYTES, -(-size // SECTOR_BYTES) * SECTOR_BYTES)
    buffer = aligned_buffer(stored)
    payload.content(payload.identity(name, 0)).make(buffer.sectors, 0)
    return np.frombuffer(buffer.bytes, np.uint8)[:size]


def digest_of(content: bytes | memoryview) -> int:
    """Return the digest of decoded content; never 0, which stands for none."""
    return xxhash.xxh3_64_intdigest(content) or 1


def undecodable(error: Exception) -> ValueError:
    """Return the error for content that is none of its format."""
    return ValueError(
        f"it cannot be decoded ({error}): remove the file, and make it again with --mlps-datagen"
    )
