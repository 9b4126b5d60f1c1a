"""Result of a rank as a run's summary reads it: the part of its JSON that is aggregated."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.results.record import problems_of

_Number = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class CacheStatistics(_Part):
    """Traffic and latencies of the storage tier.

    None stands for a percentile without samples, which has no key, and for a rate over no time.
    """

    storage_entries: int
    tier_storage_kv_bytes_read_gb: _Number
    tier_storage_kv_bytes_written_gb: _Number
    tier_storage_read_bandwidth_gbps: _Number | None
    tier_storage_write_bandwidth_gbps: _Number | None
    storage_read_p95_ms: _Number | None = None
    storage_read_device_p95_ms: _Number | None = None
    storage_write_device_p95_ms: _Number | None = None


class Distribution(_Part):
    """A distribution of latencies."""

    p95: _Number | None


class Summary(_Part):
    """The summary of a rank, in the reference's words."""

    avg_throughput_tokens_per_sec: _Number | None
    storage_throughput_tokens_per_sec: _Number | None
    storage_io_latency_ms: Distribution
    cache_stats: CacheStatistics


class Additions(_Part):
    """Our additions."""

    rank: Annotated[int, Field(ge=0)]
    trial: Annotated[int, Field(ge=1)]
    """Its number, from 1."""
    started: Annotated[str, Field(pattern=r"^\d{8}_\d{6}$")] | None = None
    """When the trial began on the rank, as YYYYMMDD_HHMMSS; None in results of earlier versions."""
    is_simulated: bool = False


class RecordedRank(_Part):
    """The result of one rank in one trial."""

    summary: Summary
    mlpstorage: Additions

    @property
    def rank(self) -> int:
        """The rank's number."""
        return self.mlpstorage.rank

    @property
    def trial(self) -> int:
        """The trial's number, from 1."""
        return self.mlpstorage.trial

    @property
    def used_storage(self) -> bool:
        """Whether the rank moved anything from or to storage; a simulation did not."""
        stats = self.summary.cache_stats
        moved = stats.tier_storage_kv_bytes_read_gb + stats.tier_storage_kv_bytes_written_gb
        return moved > 0 and not self.mlpstorage.is_simulated


def recorded_rank(source: str, content: Json) -> RecordedRank:
    """Return the result of a rank in its JSON; InvalidInputError, which names `source`, if none."""
    try:
        return RecordedRank.model_validate(content)
    except ValidationError as error:
        raise InvalidInputError(
            source, sorted(content), "the result of a rank", hint=problems_of(error)
        ) from error
