"""Statistics in the reference's form, against those of a published run."""

from __future__ import annotations

import json
import time
from datetime import datetime

import pytest

from mlpstorage_bench.checkpointing.results.reference_stats import (
    TimedCheckpoint,
    rank_statistics,
    summary_metric,
)
from tests.validation.published import PUBLISHED, is_absent

SIZE_GIB = 104.70452117919922
_DEVIATION = 1e-12


@pytest.mark.skipif(is_absent(), reason="the published runs are not here")
def test_a_published_summary_is_recomputed_from_its_first_rank() -> None:
    (leaf,) = PUBLISHED.glob("closed/*/results/*/checkpointing/*/20260722_020743")
    epoch = json.loads((leaf / "0_per_epoch_stats.json").read_text())["1"]
    published = json.loads((leaf / "summary.json").read_text())["metric"]
    checkpoints = [
        TimedCheckpoint.of(
            "write",
            number,
            datetime.fromisoformat(epoch[f"save_ckpt{number}"]["start"]).timestamp(),
            epoch[f"save_ckpt{number}"]["duration"],
            published["checkpoint_size_GB"],
        )
        for number in range(1, 11)
    ]
    metric = summary_metric(checkpoints, published["checkpoint_size_GB"])
    assert metric.keys() == published.keys()
    for name, value in published.items():
        if "stdev" in name:
            assert metric[name] == pytest.approx(value, rel=_DEVIATION)
        else:
            assert metric[name] == value
    written = rank_statistics(checkpoints)["1"]
    assert isinstance(written, dict)
    for one in checkpoints:
        assert written[one.key]["duration"] == epoch[one.key]["duration"]
        assert written[one.key]["throughput"] == epoch[one.key]["throughput"]
        assert written[one.key]["start"] == epoch[one.key]["start"]


def checkpoint(kind: str, number: int, duration_s: float) -> TimedCheckpoint:
    return TimedCheckpoint.of(kind, number, time.time(), duration_s, SIZE_GIB)  # type: ignore[arg-type]  # a kind


def test_a_summary_of_reads_has_no_keys_of_writes() -> None:
    metric = summary_metric([checkpoint("read", 1, 2.0)], SIZE_GIB)
    assert set(metric) == {
        "load_checkpoint_io_mean_GB_per_second",
        "load_checkpoint_io_stdev_GB_per_second",
        "load_checkpoint_duration_mean_seconds",
        "load_checkpoint_duration_stdev_seconds",
        "checkpoint_size_GB",
    }
    assert metric["load_checkpoint_io_mean_GB_per_second"] == SIZE_GIB / 2


def test_the_mean_is_that_of_rates_and_not_of_the_mean_duration() -> None:
    metric = summary_metric([checkpoint("write", 1, 1.0), checkpoint("write", 2, 3.0)], SIZE_GIB)
    assert metric["save_checkpoint_io_mean_GB_per_second"] == SIZE_GIB * (1 + 1 / 3) / 2
    assert metric["save_checkpoint_duration_mean_seconds"] == 2
    assert metric["save_checkpoint_duration_stdev_seconds"] == 1


def test_statistics_name_writes_and_reads_in_order() -> None:
    checkpoints = [checkpoint("write", 1, 1.0), checkpoint("write", 2, 1.0)]
    epoch = rank_statistics([*checkpoints, checkpoint("read", 1, 1.0)])["1"]
    assert isinstance(epoch, dict)
    assert [*epoch] == ["start", "save_ckpt1", "save_ckpt2", "load_ckpt1", "end"]


def test_durations_have_microseconds() -> None:
    one = checkpoint("write", 1, 8.0391354321)
    assert one.duration_s == 8.039135
    assert one.gib_s == SIZE_GIB / 8.039135
    assert (one.end - one.start).total_seconds() == pytest.approx(8.039135)
