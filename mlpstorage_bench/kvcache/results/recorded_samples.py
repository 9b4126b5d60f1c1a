"""Samples, traffic and times in a rank's result, as reports read them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mlpstorage_bench.measure.histogram import BUCKETS, Histogram
from mlpstorage_bench.measure.lane_time import LaneTime
from mlpstorage_bench.measure.time_series import TimeSeries

_Count = Annotated[int, Field(ge=0, lt=1 << 62)]
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _checked_buckets(text: str) -> str:
    for bucket in text.split():
        if int(bucket.partition(":")[0]) >= BUCKETS:
            raise ValueError(f"a bucket below {BUCKETS}")
    return text


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class RecordedHistogram(_Part):
    """A histogram in the form of `Histogram.to_dict`."""

    unit: Literal["ns"]
    bits: Literal[7]
    count: _Count
    sum: _Count
    min: _Count
    max: _Count
    buckets: Annotated[
        str,
        Field(pattern=r"^(?:\d{1,4}:\d{1,15}(?: \d{1,4}:\d{1,15})*)?$"),
        AfterValidator(_checked_buckets),
    ]

    def histogram(self) -> Histogram:
        """Return the histogram."""
        return Histogram.from_dict(self.model_dump())


EMPTY = RecordedHistogram(unit="ns", bits=7, count=0, sum=0, min=0, max=0, buckets="")


class RecordedOperation(_Part):
    """Operations of one tier, kind and size."""

    tier: str
    kind: Literal["read", "write"]
    moved_bytes: _Count
    copied_bytes: _Count = 0
    wait: RecordedHistogram
    chunk: RecordedHistogram
    durability: RecordedHistogram
    verification: RecordedHistogram
    device: RecordedHistogram
    host_only: RecordedHistogram = EMPTY
    """Not in results of earlier versions."""


class RecordedLaneTime(_Part):
    """The lanes' time in the form of `LaneTime`."""

    total_s: _Seconds
    cpu_s: _Seconds
    queued_s: _Seconds
    lock_s: _Seconds
    request_s: _Seconds
    thread_s: _Seconds = 0.0
    """Not in results of earlier versions."""

    def lane_time(self) -> LaneTime:
        """Return the times."""
        return LaneTime(**self.model_dump())


class RecordedHistograms(_Part):
    """Histograms of a rank."""

    request_latency: RecordedHistogram
    queue_wait: RecordedHistogram
    operations: tuple[RecordedOperation, ...]


class _Additions(_Part):
    rank: Annotated[int, Field(ge=0)]
    host: str
    trial: Annotated[int, Field(ge=1)] = 1
    window_s: _Seconds
    io_mode: str
    is_simulated: bool = False
    lane_time: RecordedLaneTime | None = None
    histograms: RecordedHistograms
    time_series: TimeSeries | None = None
    """Not in results of earlier versions."""


class RankSamples(_Part):
    """The result of one rank in one trial."""

    mlpstorage: _Additions
