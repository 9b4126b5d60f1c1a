"""Epochs: every sample once, in an order by seed, in equal parts for all ranks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpstorage_bench.training.workload.permutation import permutation

_FIRST_EPOCH = 2
"""Number of the permutation of the first epoch."""


@dataclass(frozen=True)
class Epochs:
    """The order in which the ranks of a training read the groups of a dataset.

    A rank gets a consecutive part of the epoch's order. What fills no batch on every rank is left
    out, as the reference does.
    """

    groups: int
    """Units that are read as a whole: samples, or groups of them."""
    groups_per_batch: int
    ranks: int
    seed: int
    most_steps: int | None = None
    """Limit of the steps of an epoch; None: as many as there are."""

    @property
    def steps(self) -> int:
        """Steps of an epoch, the same on every rank."""
        steps = self.groups // self.ranks // self.groups_per_batch
        return steps if self.most_steps is None else min(steps, self.most_steps)

    def of_rank(self, epoch: int, rank: int) -> NDArray[np.int64]:
        """Return the groups of a rank in an epoch (from 1), in the order of its batches."""
        part = self.groups // self.ranks
        order = permutation(self.groups, self.seed, _FIRST_EPOCH + epoch - 1)
        begin = rank * part
        return order[begin : begin + self.steps * self.groups_per_batch]

    def batches(self, epoch: int, rank: int) -> Sequence[Sequence[int]]:
        """Return the groups of each of a rank's batches in an epoch."""
        batches: list[list[int]] = (
            self.of_rank(epoch, rank).reshape(-1, self.groups_per_batch).tolist()
        )
        return batches

    def sha256(self, epochs: int, rank: int) -> str:
        """Return the hash of a rank's reads in all epochs."""
        digest = hashlib.sha256()
        for epoch in range(1, epochs + 1):
            digest.update(self.of_rank(epoch, rank).astype("<i8").tobytes())
        return digest.hexdigest()
