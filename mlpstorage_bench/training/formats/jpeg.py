"""Format jpeg: an image of noise in a file of its own, by Pillow.

Noise does not compress, and its encoded size is not known before. So the image is made a little
too small, and bytes follow its end, which decoders skip: a file has exactly its size.
"""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass
from typing import Any

from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.training.dataset.place import DatasetPlace
from mlpstorage_bench.training.formats.library_format import (
    ReadGroup,
    content_of,
    digest_of,
    library,
    undecodable,
)

_QUALITY = 75
_BYTES_PER_PIXEL = 0.75
"""More than gray noise takes at this quality."""
_LEAST_SIDE = 8


@dataclass(frozen=True)
class JpegFormat:
    """Samples as JPEG files."""

    place: DatasetPlace
    payload: Payload

    def _pillow(self) -> Any:
        return library("jpeg", "PIL.Image")

    def write(self, path: str, file: int) -> list[int]:
        """Write a file, and return the digest of its bytes."""
        size = self.place.dataset.group_bytes(file)
        encoded = self._encoded(file, size)
        padding = content_of(self.payload, f"{file}/padding", max(0, size - len(encoded)))
        content = encoded + padding.tobytes()
        with open(path, "xb") as stream:  # noqa: PTH123 - as in the other formats
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        return [digest_of(content)]

    def _encoded(self, file: int, size: int) -> bytes:
        """Return an image that takes at most `size` bytes, unless that is less than the least."""
        side = max(_LEAST_SIDE, math.isqrt(round(size / _BYTES_PER_PIXEL)))
        while True:
            pixels = content_of(self.payload, str(file), side * side)
            stream = io.BytesIO()
            image = self._pillow().fromarray(pixels.reshape(side, side))
            image.save(stream, "JPEG", quality=_QUALITY)
            if stream.tell() <= size or side == _LEAST_SIDE:
                return stream.getvalue()
            side = max(_LEAST_SIDE, side * 9 // 10)

    def read(self, file: int, number: int) -> ReadGroup:
        """Read a file, and decode its image."""
        del number
        content = self.place.path(file).read_bytes()
        try:
            self._pillow().open(io.BytesIO(content)).load()
        except (OSError, SyntaxError, ValueError) as error:  # of Pillow: the file was read
            raise undecodable(error) from error
        return ReadGroup(len(content), digest_of(content))
