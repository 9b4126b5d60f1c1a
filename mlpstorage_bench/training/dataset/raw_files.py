"""Raw files of a dataset as a lane reads and writes them: each piece is an entry of its own."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mlpstorage_bench.storage.file_mover import FileMover, FilePlace
from mlpstorage_bench.storage.files import DataFile, FileIo
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Observer, StoredEntry
from mlpstorage_bench.training.dataset.digests import DigestPlaces, Digests
from mlpstorage_bench.training.dataset.place import DatasetPlace
from mlpstorage_bench.training.workload.samples import Piece


def payload_of(place: DatasetPlace) -> Payload:
    """Return what makes the content of a dataset: a function of its parameters alone."""
    return Payload(place.contents.seed, origin=f"dataset {place.contents.digest}")


def entry_name(file: int, piece: Piece) -> str:
    """Return the name of a piece, from which its content follows."""
    return f"{file}/{piece.offset}"


class PieceMover(FileMover):
    """Transfers of one piece of an open file."""

    def __init__(self, file: DataFile, offset: int, observer: Observer, io: FileIo) -> None:
        super().__init__(observer, io)
        self._file = file
        self._offset = offset

    def place(self, offset: int) -> FilePlace:
        """Return the file, and the place in it of a byte of the piece."""
        return self._file, self._offset + offset


class OpenRawFile:
    """An open file of a dataset, whose pieces are entries of a store."""

    stores_data = True

    def __init__(self, file: DataFile, io: FileIo) -> None:
        self.file = file
        self._io = io

    def footprint(self, size: int) -> int:
        """Return the piece's size."""
        return size

    def _mover(self, name: str, observer: Observer) -> PieceMover:
        _, _, offset = name.partition("/")
        return PieceMover(self.file, int(offset), observer, self._io)

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[PieceMover]:
        """Write a piece; the file is made durable when it is complete."""
        del size
        yield self._mover(name, observer)

    def reader(self, name: str, observer: Observer) -> PieceMover:
        """Read a piece."""
        return self._mover(name, observer)

    def delete(self, name: str) -> None:
        """Do nothing: an incomplete file is removed as a whole."""

    def close(self) -> None:
        """Close the file."""
        self.file.close()


@dataclass
class RawReader:
    """Opens a dataset's raw files, and knows the entries of each group."""

    place: DatasetPlace
    io: FileIo
    places: DigestPlaces
    digests: Digests
    payload: Payload
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    """Numbers of the reads, which determine the chunks that are checked if not all are."""

    @contextmanager
    def open(self, file: int) -> Iterator[OpenRawFile]:
        """Open a file for reading."""
        opened = OpenRawFile(self.io.open(self.place.path(file)), self.io)
        try:
            yield opened
        finally:
            opened.close()

    def digest_of_group(self, file: int, number: int) -> int:
        """Return the digest of a group's decoded content, where a library reads it."""
        return int(self.digests[self.places.first(file) + number])

    def entries(self, file: int, number: int) -> Iterator[StoredEntry]:
        """Yield the entries that are read of a group."""
        places = self.places
        at = places.first(file) + number * places.of_group(file)
        for piece in self.place.dataset.read_pieces(file, number):
            count = places.chunking.count(piece.size)
            name = entry_name(file, piece)
            yield StoredEntry(
                name,
                piece.size,
                self.payload.identity(name, 0),
                array("Q", self.digests[at : at + count].tobytes()),
                self._numbers,
            )
            at += count
