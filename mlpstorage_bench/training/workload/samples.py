"""The dataset: the size of each file, and the places of what is read from it.

Sizes of samples that differ are squares of a normally distributed side, as in the reference, whose
samples are images. Side and spread follow from the declared mean and standard deviation of the
size: with a side of mean m and variance v, the size has the mean m² + v and the variance
4 m² v + 2 v². Files get the distribution's quantiles in an order that the seed determines. Those of
few files deviate less than all of it, and are scaled to the variance v: so any number of files has
the declared mean, and all but the smallest nearly the declared deviation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpstorage_bench.training.workload.models import TrainingModel
from mlpstorage_bench.training.workload.permutation import permutation

SECTOR_BYTES = 4096
"""Places in files are multiples of it, so that direct I/O can read them."""
_OF_SIZES = 1
"""Number of the permutation that deals out sizes; epochs have others."""
_STANDARD = NormalDist()


class Piece(NamedTuple):
    """Consecutive bytes of a file that are read together: whole sectors."""

    offset: int
    size: int


@dataclass(frozen=True)
class Dataset:
    """Files of equal structure with the samples of a model."""

    model: TrainingModel
    files: int
    seed: int
    scale: float = 1.0
    """Factor for the size of samples."""
    samples_per_file: int = 1

    @property
    def groups_per_file(self) -> int:
        """Number of groups of a file."""
        return self.samples_per_file // self.model.samples_per_group

    @property
    def samples(self) -> int:
        """Number of samples of all files."""
        return self.files * self.samples_per_file

    @property
    def groups(self) -> int:
        """Number of units that are read as a whole."""
        return self.files * self.groups_per_file

    @property
    def record_bytes(self) -> int:
        """Mean size of a sample."""
        return max(1, round(self.model.record_bytes * self.scale))

    @cached_property
    def _group_sizes(self) -> NDArray[np.int64]:
        """Bytes of a group of each file; one number if all are equal."""
        model = self.model
        if not model.record_stdev_bytes or self.files == 1:
            return np.array([self.record_bytes * model.samples_per_group])
        stdev = model.record_stdev_bytes * self.scale
        side = _side(model.record_bytes * self.scale, stdev)
        order = permutation(self.files, self.seed, _OF_SIZES)
        quantiles = (order + 0.5) / self.files
        deviations = np.array([_STANDARD.inv_cdf(one) for one in quantiles.tolist()])
        deviations /= math.sqrt(np.mean(deviations * deviations))
        sides = side.mean + side.stdev * deviations
        sizes: NDArray[np.int64] = np.maximum(1, np.rint(sides * sides)).astype(np.int64)
        return sizes * model.samples_per_group

    def group_bytes(self, file: int) -> int:
        """Return the bytes of a group of a file, as stored: whole sectors."""
        sizes = self._group_sizes
        size = int(sizes[file if len(sizes) > 1 else 0])
        return -(-size // SECTOR_BYTES) * SECTOR_BYTES

    def file_bytes(self, file: int) -> int:
        """Return the size of a file."""
        return self.group_bytes(file) * self.groups_per_file

    @cached_property
    def total_bytes(self) -> int:
        """Size of all files."""
        sizes = self._group_sizes
        stored = -(-sizes // SECTOR_BYTES) * SECTOR_BYTES * self.groups_per_file
        return int(stored.sum()) * (1 if len(sizes) > 1 else self.files)

    def place(self, group: int) -> tuple[int, int]:
        """Return the file of a group, and its number in the file."""
        return divmod(group, self.groups_per_file)

    def pieces(self, file: int, number: int) -> Iterator[tuple[Piece, bool]]:
        """Yield the pieces of a group in the order of the file, and whether each is read."""
        size = self.group_bytes(file)
        begin = number * size
        sectors, model = size // SECTOR_BYTES, self.model
        for first in range(0, model.columns, model.read_every):
            edges = (first, first + 1, min(first + model.read_every, model.columns))
            at, read_to, to = (edge * sectors // model.columns * SECTOR_BYTES for edge in edges)
            if read_to > at:
                yield Piece(begin + at, read_to - at), True
            if to > read_to:
                yield Piece(begin + read_to, to - read_to), False

    def read_pieces(self, file: int, number: int) -> list[Piece]:
        """Return the pieces of a group that are read."""
        return [piece for piece, is_read in self.pieces(file, number) if is_read]

    def read_bytes(self, file: int, number: int = 0) -> int:
        """Return the bytes that are read of a group."""
        return sum(piece.size for piece in self.read_pieces(file, number))


def _side(mean: float, stdev: float) -> NormalDist:
    """Return the distribution of a side whose square has this mean and standard deviation."""
    variance = mean - math.sqrt(mean * mean - stdev * stdev / 2)
    return NormalDist(math.sqrt(mean - variance), math.sqrt(variance))
