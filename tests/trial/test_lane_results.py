"""Trials of lane types as JSON, and back: a run that continues has the same results as before."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from mlpstorage_bench.measure.operation_statistics import (
    STORAGE_TIER,
    OperationKey,
    OperationStatistics,
)
from mlpstorage_bench.metric.rules import JOINED
from mlpstorage_bench.trial.lane_results import (
    LaneSamples,
    LaneTrial,
    restored_lane_trial,
    stored_lane_trial,
)
from mlpstorage_bench.trial.outcome import StoredTrial


@dataclass(frozen=True)
class OfRank:
    """A record among a trial's values, as types of other packages may have them."""

    rank: int
    gib_s: float


def stored() -> StoredTrial[LaneTrial, LaneSamples]:
    read = OperationStatistics(moved_bytes=4096, chunks=1)
    for span_ns in (1_000_000, 3_000_000):
        read.device.record(span_ns)
    values = {
        "read_gib_s": 1.5,
        "ceiling_ratio": None,
        "audit_verdict": "ok",
        "window_s": 0.5,
        "by_rank": [OfRank(0, 1.5)],
    }
    trial = LaneTrial(values, trial=2, moved_bytes=4096, corruption="")
    key = OperationKey(STORAGE_TIER, "read", "4 KiB")
    return StoredTrial(trial, LaneSamples({key: read}), None)


def test_trial_from_json_has_the_results_and_the_samples() -> None:
    before = stored()
    after = restored_lane_trial(json.loads(json.dumps(stored_lane_trial(before))))
    assert after.result.metrics() == before.result.metrics()
    assert (after.result.trial, after.result.moved_bytes) == (2, 4096)
    assert after.result.audit_verdict == "ok"
    assert after.result.failure is None
    assert after.series is None
    span = after.samples.span("read")
    assert (span.count, span.sum_ns) == (2, 4_000_000)
    assert span.percentile_ms(95) == before.samples.span("read").percentile_ms(95)


def test_records_of_a_trial_from_json_are_joined_with_those_of_another() -> None:
    before = stored()
    after = restored_lane_trial(json.loads(json.dumps(stored_lane_trial(before))))
    joined = JOINED.combine("by_rank", [after.result.values, before.result.values])
    assert joined == [{"trial": number, "rank": 0, "gib_s": 1.5} for number in (1, 2)]


@pytest.mark.parametrize("field", ["trial", "moved_bytes", "values", "operations", "time_series"])
@pytest.mark.parametrize("value", [None, "none", [1], {"a": 1}])
def test_other_json_is_no_stored_trial(field: str, value: object) -> None:
    content = {**stored_lane_trial(stored()), field: value}
    if (field, value) in (("time_series", None), ("values", {"a": 1})):
        assert restored_lane_trial(content).result.trial == 2
        return
    with pytest.raises(ValueError):  # noqa: PT011 - of several libraries
        restored_lane_trial(content)


def test_json_without_a_field_is_no_stored_trial() -> None:
    with pytest.raises(ValueError, match="no stored trial"):
        restored_lane_trial({})
