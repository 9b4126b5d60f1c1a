"""Digests of what is read, chunk by chunk, in one file: 8 bytes for each chunk, in their order.

Ranks that generate files write the digests of their files at the places that these have in the
order of all. A run reads all of them before it begins: 8 MiB for a TiB of data in chunks of 1 MiB.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.failures import storage_error
from mlpstorage_bench.storage.store import Chunking
from mlpstorage_bench.training.workload.samples import Dataset

_BYTES = 8
Digests = NDArray[np.uint64]


@dataclass(frozen=True)
class DigestPlaces:
    """Place of each group's digests in the order of all."""

    dataset: Dataset
    chunking: Chunking
    is_of_groups: bool = False
    """Whether a group has one digest, that of its decoded content."""

    def of_group(self, file: int) -> int:
        """Return the number of digests of a group of a file."""
        if self.is_of_groups:
            return 1
        return sum(self.chunking.count(p.size) for p in self.dataset.read_pieces(file, 0))

    @cached_property
    def _is_equal(self) -> bool:
        return self.is_of_groups or not self.dataset.model.record_stdev_bytes

    @cached_property
    def _equal(self) -> int:
        """Digests of each file, where all have as many."""
        return self.of_group(0) * self.dataset.groups_per_file

    @cached_property
    def _begins(self) -> NDArray[np.int64]:
        """Position of the first digest of each file, and of the end."""
        per_file = self.dataset.groups_per_file
        counts = [self.of_group(file) * per_file for file in range(self.dataset.files)]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @property
    def total(self) -> int:
        """Number of digests of the dataset."""
        return self.first(self.dataset.files)

    def first(self, file: int) -> int:
        """Return the position of a file's first digest."""
        return file * self._equal if self._is_equal else int(self._begins[file])


def write_digests(path: Path, first: int, digests: array[int]) -> None:
    """Write a file's digests at their place, which begins at this position."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        try:
            left, place = memoryview(np.array(digests, dtype="<u8").tobytes()), first * _BYTES
            while left:
                written = os.pwrite(descriptor, left, place)
                left, place = left[written:], place + written
        finally:
            os.close(descriptor)
    except OSError as error:
        raise storage_error("writing", path, error) from error


def read_digests(path: Path, places: DigestPlaces, sha256: str | None = None) -> Digests:
    """Return all digests of a dataset; StorageError if they are not all there, or were changed.

    They are not compared with a checksum that is None.
    """
    try:
        found = np.fromfile(path, dtype="<u8").astype(np.uint64, copy=False)
        is_changed = sha256 is not None and checksum_of(path) != sha256
    except OSError as error:
        raise storage_error("reading", path, error) from error
    if len(found) != places.total:
        raise _damaged(path, f"it has {len(found)} digests, the data {places.total}")
    if is_changed:
        raise _damaged(
            path,
            "it is not as it was when the data was made: its checksum is another one. Whether the "
            "data is right cannot be told without it",
        )
    return found


def checksum_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits; OSError on failure."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _damaged(path: Path, reason: str) -> StorageError:
    return StorageError(
        "reading",
        str(path),
        reason,
        hint=f"Remove {path.parent}, and generate the data again",
    )
