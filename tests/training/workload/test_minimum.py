"""The smallest dataset, and the figures of an epoch, by the published definitions."""

from __future__ import annotations

import json
import statistics

import pytest

from mlpstorage_bench.training.workload.minimum import EpochFigures, mib_per_s, minimum
from mlpstorage_bench.training.workload.models import MODELS
from mlpstorage_bench.units import GIB
from tests.validation.published import PUBLISHED, is_absent


def published() -> list[tuple[str, dict[str, object]]]:
    found = sorted(PUBLISHED.glob("closed/*/results/*/training/*/run/*/summary.json"))
    return [(path.parents[2].name, json.loads(path.read_text())) for path in found]


def test_steps_decide_where_memory_is_small() -> None:
    least = minimum(MODELS["unet3d"], 7, accelerators=4, memory_bytes=64 * GIB)
    assert least.files == least.samples == 500 * 7 * 4


def test_memory_decides_where_it_is_large() -> None:
    least = minimum(MODELS["unet3d"], 7, accelerators=4, memory_bytes=1024 * GIB)
    assert least.files == 5 * 1024 * GIB // 146_600_628


def test_files_with_many_samples_are_counted_in_whole_files() -> None:
    least = minimum(MODELS["flux"], 48, accelerators=2, memory_bytes=GIB)
    assert least.samples == 48_000
    assert least.files == 166


def test_the_first_step_is_no_part_of_the_utilization_but_of_the_samples() -> None:
    epoch = EpochFigures.of(
        steps=11, samples=110, computation_s=0.1, seconds=2.2, seconds_after_first=1.25
    )
    assert epoch.au_percentage == pytest.approx(80)
    assert epoch.samples_per_s == pytest.approx(50)


@pytest.mark.parametrize(("model", "summary"), published())
def test_published_bandwidth_is_samples_times_record_bytes(
    model: str, summary: dict[str, dict[str, float]]
) -> None:
    metric = summary["metric"]
    bandwidth = mib_per_s(
        metric["train_throughput_mean_samples_per_second"], MODELS[model].record_bytes
    )
    assert bandwidth == pytest.approx(metric["train_io_mean_MB_per_second"], rel=1e-12)
    deviation = mib_per_s(
        metric["train_throughput_stdev_samples_per_second"], MODELS[model].record_bytes
    )
    assert deviation == pytest.approx(metric["train_io_stdev_MB_per_second"], rel=1e-12)


@pytest.mark.parametrize("metric", [summary["metric"] for _, summary in published()])
def test_published_means_and_deviations_are_those_of_the_epochs(
    metric: dict[str, list[float]],
) -> None:
    for epochs, mean, stdev in (
        ("train_au_percentage", "train_au_mean_percentage", "train_au_stdev_percentage"),
        (
            "train_throughput_samples_per_second",
            "train_throughput_mean_samples_per_second",
            "train_throughput_stdev_samples_per_second",
        ),
    ):
        assert statistics.fmean(metric[epochs]) == pytest.approx(metric[mean], rel=1e-12)
        assert statistics.pstdev(metric[epochs]) == pytest.approx(metric[stdev], rel=1e-9)


@pytest.mark.parametrize(("model", "summary"), published())
def test_published_size_per_host_is_samples_times_record_bytes(
    model: str, summary: dict[str, float]
) -> None:
    size = summary["num_files_train"] * MODELS[model].record_bytes / summary["num_hosts"]
    assert size / GIB == pytest.approx(summary["data_size_per_host_GB"], rel=1e-9)


@pytest.mark.skipif(is_absent(), reason="the published runs are not here")
def test_published_runs_were_found() -> None:
    assert {model for model, _ in published()} == {"unet3d", "retinanet"}
