"""Pooled results: definitions of the figures over ranks, epochs and trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlpstorage_bench.errors import EmptyWindowError, StorageError
from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.device import BlockDevice, Underlying, UnderlyingTraffic
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.lane_time import LaneTime
from mlpstorage_bench.metric.values import Values
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.training.results.metrics.declared import metrics
from mlpstorage_bench.training.results.notes import notes_on
from mlpstorage_bench.training.results.pooling import pool_case, pool_samples, pool_trial
from mlpstorage_bench.training.results.rank_training import EpochTimes, RankTraining
from mlpstorage_bench.training.results.samples import TrainingSamples
from mlpstorage_bench.training.results.stored_trial import restored_trial, stored_trial
from mlpstorage_bench.training.runner.trial import run_training
from mlpstorage_bench.trial.outcome import StoredTrial
from mlpstorage_bench.units import MIB, NS_PER_S
from tests.trainings import context, generated, training
from tests.trials import SoloRanks

pytestmark = pytest.mark.slow


def epoch(number: int, first_s: float, rest_s: float, steps: int = 5) -> EpochTimes:
    """Return an epoch that begins at 0, with half a second of waits in the first step."""
    first_ns, end_ns = round(first_s * NS_PER_S), round((first_s + rest_s) * NS_PER_S)
    return EpochTimes(number, steps, 1e9, 0, first_ns, end_ns, 700_000_000, 500_000_000, 0)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> RankTraining:
    """One rank of a real trial; epochs with chosen times replace its own."""
    directory = tmp_path_factory.mktemp("training")
    workload = training()
    here = context(directory, workload)
    generated(workload, here)
    return run_training(workload, here, SoloRanks())


def rank(measured: RankTraining, number: int, *epochs: EpochTimes) -> RankTraining:
    return replace(
        measured, rank=number, epochs=epochs, batch=10, computation_s=0.1, record_bytes=2 * MIB
    )


def test_utilization_is_the_mean_over_ranks_and_rates_are_their_sum(measured: RankTraining) -> None:
    one = rank(measured, 0, epoch(1, first_s=0.5, rest_s=0.5), epoch(2, 0.5, 0.4))
    other = rank(measured, 1, epoch(1, first_s=1.0, rest_s=1.0), epoch(2, 0.5, 0.5))
    result = pool_trial(1, [one, other])
    assert result.au_by_epoch == pytest.approx([(80 + 40) / 2, (100 + 80) / 2])
    assert result.samples_per_s_by_epoch == pytest.approx([50 + 25, 50 / 0.9 + 50])
    assert result.au_percentage == pytest.approx(75)
    assert result.least_au_percentage == pytest.approx(60)
    assert result.train_mib_s == pytest.approx((result.samples_per_s or 0) * 2)


def test_rates_of_samples_are_without_the_time_between_epochs(measured: RankTraining) -> None:
    result = pool_trial(1, [measured])
    assert result.samples_per_s is not None
    assert result.samples_per_s >= result.samples / result.window_s


def test_waits_of_the_first_step_are_in_no_share(measured: RankTraining) -> None:
    result = pool_trial(1, [rank(measured, 0, epoch(1, first_s=0.6, rest_s=1.0))])
    assert result.data_wait_share == pytest.approx(0.2)
    assert result.first_batch_s == pytest.approx(0.5)


def test_a_case_has_the_mean_of_its_trials_and_their_spread(measured: RankTraining) -> None:
    ranks = [rank(measured, 0, epoch(1, 0.5, rest_s)) for rest_s in (0.5, 0.4)]
    trials = [pool_trial(number, [one]) for number, one in enumerate(ranks, 1)]
    samples = TrainingSamples.of(ranks)
    result = pool_case("train", trials, pool_samples(samples), least_au=90.0)
    assert result.au_percentage == pytest.approx(90)
    assert result.values["au_percentage_min"] == pytest.approx(80)
    assert result.meets_expectation
    assert result.values["read_p95_ms"] == samples.span("device").percentile_ms(95)


def lanes(*, storage_s: float, harness_s: float, request_s: float) -> LaneTime:
    total_s = storage_s + harness_s + request_s
    return LaneTime(total_s, cpu_s=harness_s, queued_s=0, lock_s=0, request_s=request_s)


IDLE = lanes(storage_s=1.5, harness_s=0.5, request_s=8)


@pytest.mark.parametrize(
    ("rest_s", "late_s", "spent", "expected"),
    [
        (0.42, 0.0, IDLE, "load"),
        (0.42, 0.0, lanes(storage_s=9, harness_s=0.5, request_s=0.5), "load"),
        (0.8, 0.0, IDLE, "storage"),
        (0.8, 0.0, lanes(storage_s=0.5, harness_s=1.5, request_s=8), "harness"),
        (0.8, 0.3, IDLE, "harness"),
        (0.8, 0.0, None, "unknown"),
    ],
)
def test_load_limits_accelerators_that_are_as_busy_as_is_demanded_and_no_others(
    measured: RankTraining, rest_s: float, late_s: float, spent: LaneTime | None, expected: str
) -> None:
    one = replace(epoch(1, 0.5, rest_s), late_ns=round(late_s * NS_PER_S))
    found = replace(
        rank(measured, 0, one),
        least_au=0.9,
        lane_time=spent,
        ceiling=Ceiling(operations_per_s=1e9, gib_s=1e9),
        process_traffic=measured.submitted,
        underlying_traffic=None,
    )
    assert pool_trial(1, [found]).limited_by == expected


@pytest.mark.parametrize(
    ("rest_s", "late_s", "spent", "expected"),
    [
        (0.42, 0.0, None, "load"),
        (0.8, 0.0, lanes(storage_s=0.2, harness_s=9.7, request_s=0.1), "harness"),
        (0.8, 0.0, lanes(storage_s=9, harness_s=0.5, request_s=0.5), "storage"),
        (0.8, 0.3, None, "harness"),
        (0.8, 0.0, None, "not calibrated"),
    ],
)
def test_reads_without_a_ceiling_have_a_limit_by_the_lanes_time(
    measured: RankTraining, rest_s: float, late_s: float, spent: LaneTime | None, expected: str
) -> None:
    one = replace(epoch(1, 0.5, rest_s), late_ns=round(late_s * NS_PER_S))
    found = replace(
        rank(measured, 0, one),
        least_au=0.9,
        lane_time=spent,
        ceiling=None,
        process_traffic=measured.submitted,
        underlying_traffic=None,
    )
    assert pool_trial(1, [found]).limited_by == expected


@pytest.mark.parametrize(
    ("io_mode", "counted_share", "verdict", "reason"),
    [
        ("buffered", 0.25, "through page cache", "the page cache had 75.0% of the bytes, as read"),
        ("buffered", 1.0, "ok", ""),
        ("direct", 0.25, "served from page cache", "75.0% of reads and 0.0% of writes never rea"),
    ],
)
def test_audit_of_a_training_says_what_the_page_cache_had_where_it_may(
    measured: RankTraining, io_mode: IoMode, counted_share: float, verdict: str, reason: str
) -> None:
    read = measured.submitted.read_bytes
    found = replace(
        measured,
        io_mode=io_mode,
        process_traffic=Traffic(round(read * counted_share), 0),
        device_traffic=None,
        underlying_traffic=None,
        mount_traffic=None,
    )
    result = pool_trial(1, [found])
    assert result.audit_verdict == verdict
    assert str(result.audit_reason).startswith(reason)
    assert result.page_cache_share == pytest.approx(1 - counted_share, abs=1e-6)


def test_cache_below_the_filesystem_is_not_one_that_buffered_reads_ask_for(
    measured: RankTraining,
) -> None:
    read = measured.submitted.read_bytes
    bottom = UnderlyingTraffic(Underlying((BlockDevice("254:0", "vdz"),)), Traffic(read // 4, 0))
    found = replace(
        measured,
        io_mode="buffered",
        process_traffic=Traffic(read // 2, 0),
        underlying_traffic=bottom,
        mount_traffic=None,
    )
    assert pool_trial(1, [found]).audit_verdict == "served from page cache"


def test_low_utilization_is_noted_with_its_demand(measured: RankTraining) -> None:
    ranks = [rank(measured, 0, epoch(1, 0.5, 0.8))]
    pooled = pool_samples(TrainingSamples.of(ranks))
    result = pool_case("train", [pool_trial(1, ranks)], pooled, least_au=90.0)
    assert not result.meets_expectation
    assert any("50.0 % of the time; the rules demand 90 %" in note for note in result.notes())


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"io_mode": "buffered"}, "use io_mode=direct, or data of several times the hosts' memory"),
        ({"format": "npz"}, "use format=raw and io_mode=direct, or data"),
        ({"reader": "torch"}, "use reader=model and io_mode=direct, or data"),
        (None, "for its figures, use data of several times the hosts' memory"),
    ],
)
def test_figures_of_the_page_cache_come_with_settings_that_can_be_used(
    changes: dict[str, object] | None, advice: str
) -> None:
    direct = "" if changes is None else training(**changes).settings_of_direct_reads
    measured: Values = {"page_cache_share": 0.5, "verified_reads": 1}
    others = dict.fromkeys(one.name for one in metrics())
    (note,) = notes_on([{**others, **measured}], 90.0, direct)
    assert advice in note


def test_a_trial_without_reads_is_an_error(measured: RankTraining) -> None:
    with pytest.raises(EmptyWindowError):
        pool_trial(1, [replace(measured, operations={})])
    failure = StorageError("reading", "/data/file", "gone")
    with pytest.raises(StorageError, match="gone"):
        pool_trial(1, [replace(measured, operations={}, failure=failure)])


def test_a_trial_is_restored_from_its_json(measured: RankTraining) -> None:
    samples = TrainingSamples.of([measured])
    kept = StoredTrial(pool_trial(3, [measured]), samples, None)
    content = stored_trial(kept)
    again = restored_trial(content)
    assert stored_trial(again) == content
    assert again.result.metrics() == kept.result.metrics()
    with pytest.raises(ValueError, match="no stored trial"):
        restored_trial({"trial": 1})


def test_the_page_cache_has_its_share(tmp_path: Path) -> None:
    workload = training(io_mode="buffered", steps=8)
    here = context(tmp_path, workload)
    if here.best_io_mode != "direct" or here.counters.device is None:
        pytest.skip("no counters of a device here")
    generated(workload, here)
    result = pool_trial(1, [run_training(workload, here, SoloRanks())])
    assert result.page_cache_share == pytest.approx(0.5, abs=0.1)  # the second of two epochs


def test_a_rank_that_takes_longer_for_its_samples_is_named(measured: RankTraining) -> None:
    busy = {key: replace(one, host=host_span(8.0)) for key, one in measured.operations.items()}
    slow = replace(rank(measured, 2, epoch(1, 1.0, 7.0)), host="slow", operations=busy)
    result = pool_trial(1, [*(rank(measured, n, epoch(1, 0.5, 1.5)) for n in range(2)), slow])
    (straggler,) = result.stragglers
    assert (straggler.host, straggler.rank) == ("slow", 2)
    assert straggler.share == pytest.approx(0.25)
    (named,) = result.conditions.stragglers
    assert named.startswith("rank 2 on slow is slow")
    assert result.conditions.missing_share == pytest.approx(0.75 / 3)
    case = pool_case("train", [result], pool_samples(TrainingSamples.of([measured])), least_au=90.0)
    assert f"training train: trial 1: {named}" in case.notes()


def host_span(seconds: float) -> Histogram:
    """Return the time of a rank's reads."""
    span = Histogram()
    span.record(round(seconds * NS_PER_S))
    return span
