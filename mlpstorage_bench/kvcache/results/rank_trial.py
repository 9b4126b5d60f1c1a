"""Record of one rank's measurements in one trial."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.kvcache.cache.tier import TierAccount
from mlpstorage_bench.kvcache.config.request_counters import RequestCounters
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER
from mlpstorage_bench.measure.steadiness import Steadiness
from mlpstorage_bench.measure.stragglers import Work
from mlpstorage_bench.trial.rank_window import RankWindow


@dataclass(frozen=True)
class Preconditioning:
    """Writes before all other steps, which bring the storage into its steady state."""

    seconds: float
    written_bytes: int
    steadiness: Steadiness | None
    """Steadiness of the write bandwidth at the end; None if there were too few samples."""


@dataclass(frozen=True)
class ReadBack:
    """Check of a sample of the written data, after a window in which nothing was verified."""

    verified_chunks: int
    corrupt_chunks: int
    corruption: str
    """The first of them; '' without any."""
    failure: StorageError | None = None
    """Error of a chunk that could not be read."""


@dataclass(frozen=True, kw_only=True)
class ServedRequests:
    """Requests of one rank in one trial, and entries in its cache."""

    requests: RequestCounters
    arrived: int
    """Requests that became due inside the window."""
    unserved: int
    """Requests that were due when the window closed, and that no lane had taken."""
    lateness: Histogram | None
    """Requests of an open loop: time from when one was due to when a lane took it, or to the
    window's close where no lane did."""
    tiers: dict[str, TierAccount]
    """Accounts of the entries, from the trial's start to its end."""
    read_back_chunks: int = 0
    """Chunks that were read and checked after the window, because nothing was verified in it."""
    preconditioning: Preconditioning | None = None
    warm_up: Steadiness | None = None
    """Steadiness of bandwidth at the window's start; None unless warm-up waited for it."""
    steadiness: Steadiness | None = None
    """Steadiness of bandwidth inside the window; None if the window is too short."""
    users: int = 0
    seed: int = 0
    """Seed of this rank's requests."""
    is_simulated: bool = False
    """Whether the trial ran without storage: values then state the demand of the workload."""


@dataclass(frozen=True, kw_only=True)
class RankTrial(ServedRequests, RankWindow):
    """Record of one rank in one trial."""

    @classmethod
    def of(cls, window: RankWindow, served: ServedRequests) -> Self:
        """Return the record of a rank that has served requests in a window."""
        return cls._joined(window, served)

    def totals(self) -> Self:
        """Return the record without the histograms' counts, for rank 0.

        The counts themselves are added up on the way to it (`PooledHistograms`), and the series.
        """
        return replace(
            super().totals(),
            requests=self.requests.totals(),
            lateness=None if self.lateness is None else self.lateness.totals(),
        )

    @property
    def work(self) -> Work:
        """Work of the rank on storage, to be compared with other ranks."""
        operations = sum(one.host.count for one in self.stored)
        return self.work_of(operations, users=self.users)

    @property
    def storage(self) -> TierAccount:
        """Account of the entries on storage."""
        return self.tiers[STORAGE_TIER]
