"""Format npz: a square image of bytes in a file of its own, by NumPy."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np

from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.training.dataset.place import DatasetPlace
from mlpstorage_bench.training.formats.library_format import (
    ReadGroup,
    content_of,
    digest_of,
    undecodable,
)


@dataclass(frozen=True)
class NpzFormat:
    """Samples as the reference's npz files have them: an image `x` and a label `y`."""

    place: DatasetPlace
    payload: Payload

    def write(self, path: str, file: int) -> list[int]:
        """Write a file, and return the digest of its image."""
        side = max(1, math.isqrt(self.place.dataset.group_bytes(file)))
        image = content_of(self.payload, str(file), side * side).reshape(side, side)
        with open(path, "xb") as stream:  # noqa: PTH123 - NumPy would add a suffix to a path
            np.savez(stream, x=image, y=np.zeros(1, np.int64))
            stream.flush()
            os.fsync(stream.fileno())
        return [digest_of(image.tobytes())]

    def read(self, file: int, number: int) -> ReadGroup:
        """Read the image of a file."""
        del number
        path = self.place.path(file)
        try:
            # NumPy leaves a file open that it opened and cannot decode
            with path.open("rb") as stream, np.load(stream) as content:
                image = content["x"]
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as error:
            raise undecodable(error) from error
        return ReadGroup(path.stat().st_size, digest_of(image.tobytes()))
