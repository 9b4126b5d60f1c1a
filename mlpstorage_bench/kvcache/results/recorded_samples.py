"""Samples, traffic and times in a rank's result, as reports read them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mlpstorage_bench.measure.time_series import TimeSeries
from mlpstorage_bench.trial.recorded_samples import (
    Part,
    RecordedHistogram,
    RecordedLaneTime,
    RecordedOperation,
    Seconds,
)


class RecordedHistograms(Part):
    """Histograms of a rank."""

    request_latency: RecordedHistogram
    queue_wait: RecordedHistogram
    operations: tuple[RecordedOperation, ...]


class _Additions(Part):
    rank: Annotated[int, Field(ge=0)]
    host: str
    trial: Annotated[int, Field(ge=1)] = 1
    window_s: Seconds
    io_mode: str
    is_simulated: bool = False
    lane_time: RecordedLaneTime | None = None
    histograms: RecordedHistograms
    time_series: TimeSeries | None = None
    """Not in results of earlier versions."""


class RankSamples(Part):
    """The result of one rank in one trial."""

    mlpstorage: _Additions
