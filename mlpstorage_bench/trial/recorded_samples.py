"""Samples and times in a rank's result, as reports read them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mlpstorage_bench.measure.histogram import BUCKETS, Histogram
from mlpstorage_bench.measure.lane_time import LaneTime

Count = Annotated[int, Field(ge=0, lt=1 << 62)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _checked_buckets(text: str) -> str:
    for bucket in text.split():
        if int(bucket.partition(":")[0]) >= BUCKETS:
            raise ValueError(f"a bucket below {BUCKETS}")
    return text


class Part(BaseModel):
    """Base of what a rank's result has; further keys are left out."""

    model_config = ConfigDict(frozen=True)


class RecordedHistogram(Part):
    """A histogram in the form of `Histogram.to_dict`."""

    unit: Literal["ns"]
    bits: Literal[7]
    count: Count
    sum: Count
    min: Count
    max: Count
    buckets: Annotated[
        str,
        Field(pattern=r"^(?:\d{1,4}:\d{1,15}(?: \d{1,4}:\d{1,15})*)?$"),
        AfterValidator(_checked_buckets),
    ]

    def histogram(self) -> Histogram:
        """Return the histogram."""
        return Histogram.from_dict(self.model_dump())


EMPTY = RecordedHistogram(unit="ns", bits=7, count=0, sum=0, min=0, max=0, buckets="")


class RecordedOperation(Part):
    """Operations of one tier, kind and size."""

    tier: str
    kind: Literal["read", "write"]
    moved_bytes: Count
    copied_bytes: Count = 0
    wait: RecordedHistogram
    chunk: RecordedHistogram
    durability: RecordedHistogram
    verification: RecordedHistogram
    device: RecordedHistogram
    host_only: RecordedHistogram = EMPTY
    """Not in results of earlier versions."""


class RecordedLaneTime(Part):
    """The lanes' time in the form of `LaneTime`."""

    total_s: Seconds
    cpu_s: Seconds
    queued_s: Seconds
    lock_s: Seconds
    request_s: Seconds
    thread_s: Seconds = 0.0
    """Not in results of earlier versions."""

    def lane_time(self) -> LaneTime:
        """Return the times."""
        return LaneTime(**self.model_dump())
