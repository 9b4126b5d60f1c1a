"""Metrics of checkpoints: the formula of each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlpstorage_bench.checkpointing.results.metrics.declared import metrics
from mlpstorage_bench.checkpointing.results.metrics.ranks import RankFigures
from mlpstorage_bench.checkpointing.results.pooling import (
    pool_case,
    pool_checkpoint,
    pool_samples,
)
from mlpstorage_bench.checkpointing.results.rank_checkpoint import CheckpointSamples
from mlpstorage_bench.measure.stragglers import Straggler
from mlpstorage_bench.units import GIB
from tests.checkpointing.results.records import rank_checkpoint


def test_a_checkpoint_lasts_from_the_first_beginning_to_the_last_end() -> None:
    ranks = [rank_checkpoint(0, seconds=2.0), rank_checkpoint(1, seconds=3.0, began_s=0.5)]
    trial = pool_checkpoint(ranks)
    assert trial.checkpoint_s == 3.5
    assert trial.write_gib_s == 2 / 3.5
    assert trial.read_gib_s is None
    assert trial.round_s == 3.5


def test_without_compared_clocks_the_longest_own_time_counts() -> None:
    ranks = [rank_checkpoint(0), rank_checkpoint(1, seconds=3.0, edges=None)]
    assert pool_checkpoint(ranks).checkpoint_s == 3.0


def test_the_slowest_rank_and_host_are_named() -> None:
    ranks = [rank_checkpoint(0), rank_checkpoint(1, seconds=4.0), rank_checkpoint(2)]
    trial = pool_checkpoint(ranks)
    assert (trial.slowest_rank, trial.slowest_host, trial.slowest_rank_s) == (1, "host1", 4.0)
    assert trial.rank_spread == 0.5
    assert trial.by_rank[1] == RankFigures(1, "host1", 4.0, 0.25)


def test_a_rank_that_all_others_wait_for_is_a_condition_of_the_checkpoint() -> None:
    ranks = [rank_checkpoint(0), rank_checkpoint(1, seconds=4.0), rank_checkpoint(2)]
    trial = pool_checkpoint(ranks)
    assert trial.stragglers == [Straggler("host1", 1, 0.5)]
    (named,) = trial.conditions.stragglers
    assert named.startswith("rank 1 on host1 is slow")
    assert trial.conditions.missing_share == trial.straggler_loss == 0.5
    even = pool_checkpoint([rank_checkpoint(0), rank_checkpoint(1, seconds=2.5)])
    assert (even.stragglers, even.conditions.missing_share) == ([], 0)


def test_training_stands_still_for_a_write_and_not_for_a_read() -> None:
    assert pool_checkpoint([rank_checkpoint(seconds=2.0)]).standstill_s == 2.0
    assert pool_checkpoint([rank_checkpoint(kind="read")]).standstill_s is None


@pytest.mark.parametrize(("interval_s", "standstill_s"), [(5.0, 0.25), (1.5, 0.75)])
def test_an_asynchronous_checkpoint_stops_training_for_the_copy_and_what_is_late(
    interval_s: float, standstill_s: float
) -> None:
    ranks = [
        rank_checkpoint(0, seconds=2.0, snapshot_s=0.25, interval_s=interval_s),
        rank_checkpoint(1, seconds=2.0, snapshot_s=0.125, interval_s=interval_s),
    ]
    trial = pool_checkpoint(ranks)
    assert (trial.snapshot_s, trial.standstill_s) == (0.25, standstill_s)


def case_values(durations: list[float]) -> dict[str, object]:
    checkpoints = [
        [rank_checkpoint(checkpoint=number, seconds=seconds)]
        for number, seconds in enumerate(durations, 1)
    ]
    samples = CheckpointSamples.total(CheckpointSamples.of(ranks) for ranks in checkpoints)
    trials = [pool_checkpoint(ranks) for ranks in checkpoints]
    return pool_case("write", "write", trials, pool_samples(samples)).metrics()


def test_a_case_has_the_mean_of_rates() -> None:
    values = case_values([1.0, 2.0])
    assert values["write_gib_s"] == (1 + 0.5) / 2
    assert (values["write_gib_s_min"], values["write_gib_s_max"]) == (0.5, 1.0)
    assert values["checkpoint_s"] == 1.5
    assert values["trials"] == 2


def test_percentiles_of_checkpoints_are_by_nearest_rank() -> None:
    values = case_values([float(n) for n in range(1, 21)])
    assert values["checkpoint_p50_s"] == 10.0
    assert values["checkpoint_p95_s"] == 19.0
    assert case_values([3.0, 1.0])["checkpoint_p95_s"] == 3.0


def test_flushes_are_those_of_all_checkpoints() -> None:
    values = case_values([1.0, 2.0])
    assert values["flush_p95_ms"] == pytest.approx(5.0, rel=0.02)
    assert values["write_chunk_p95_ms"] == pytest.approx(10.0, rel=0.02)
    assert values["read_chunk_p95_ms"] is None


def test_pages_that_are_left_are_added_up_over_ranks() -> None:
    ranks = [rank_checkpoint(n, kind="read", cached_pages=n) for n in (0, 1, 2)]
    assert pool_checkpoint(ranks).caches == "3 pages left"
    assert pool_checkpoint(ranks[:1]).caches == "dropped"


def test_a_drop_that_cannot_be_proven_states_the_reason() -> None:
    ranks = [
        rank_checkpoint(0, kind="read", cached_pages=0),
        rank_checkpoint(1, kind="read", drop_problem="no call counts pages"),
    ]
    assert pool_checkpoint(ranks).caches == "no call counts pages"


def test_data_is_compared_with_the_memory_of_the_worst_host() -> None:
    ranks = [rank_checkpoint(0, data_to_memory=4.0), rank_checkpoint(1, data_to_memory=2.5)]
    assert pool_checkpoint(ranks).data_to_memory == 2.5


def test_bytes_of_tensors_and_bytes_moved_differ() -> None:
    trial = pool_checkpoint([rank_checkpoint(size=GIB, tensor_bytes=GIB - 5)])
    assert (trial.checkpoint_bytes, trial.write_bytes, trial.read_bytes) == (GIB - 5, GIB, 0)


def test_reads_of_a_checkpoint_that_was_read_before_are_stated() -> None:
    ranks = [[rank_checkpoint(0, kind="read", checkpoint=number)] for number in (1, 2, 3)]
    samples = CheckpointSamples.total(CheckpointSamples.of(one) for one in ranks)
    case = pool_case("read", "read", [*map(pool_checkpoint, ranks)], pool_samples(samples))
    assert case.notes() == []
    again = replace(case, read_again=1)
    (note,) = again.notes()
    assert note.startswith("read: 1 of 3 reads were of a checkpoint that had been read before: ")
    assert "unless call_out empties them" in note


def test_names_of_metrics_are_unique() -> None:
    names = [metric.name for metric in metrics()]
    assert len(set(names)) == len(names)
