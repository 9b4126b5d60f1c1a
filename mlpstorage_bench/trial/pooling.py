"""Pooling of ranks on rank 0, with the same outcome on every rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.mpi.ranks import Ranks

Own = TypeVar("Own")
R = TypeVar("R")


def pool_on_root(ranks: Ranks, own: Own, pool: Callable[[list[Own]], R]) -> R:
    """Return the result that rank 0 makes of every rank's record, in rank order, on every rank.

    An error of pooling on rank 0 is raised on every rank.
    """
    gathered = ranks.gather(own)
    outcome: R | MlpsError | None = None
    if gathered is not None:
        try:
            outcome = pool(gathered)
        except MlpsError as error:
            outcome = error
    outcome = ranks.bcast(outcome)
    if isinstance(outcome, MlpsError):
        raise outcome
    assert outcome is not None
    return outcome
