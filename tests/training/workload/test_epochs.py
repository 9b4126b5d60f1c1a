"""Epochs: every sample once over all ranks, in an order that seed and epoch determine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.training.workload.epochs import Epochs
from mlpstorage_bench.training.workload.permutation import permutation

GROUPS = st.integers(1, 400)
SEEDS = st.integers(0, 2**63 - 1)


@pytest.mark.slow
@given(GROUPS, SEEDS, st.integers(0, 9))
def test_a_permutation_has_every_number_once(count: int, seed: int, number: int) -> None:
    assert sorted(permutation(count, seed, number).tolist()) == list(range(count))


def test_a_permutation_never_changes() -> None:
    assert permutation(8, 42, 2).tolist() == [5, 1, 2, 3, 7, 4, 0, 6]


@pytest.mark.slow
@given(GROUPS, st.integers(1, 5), st.integers(1, 4), SEEDS, st.integers(1, 3))
def test_an_epoch_reads_each_sample_once_over_all_ranks_but_what_fills_no_batch(
    groups: int, per_batch: int, ranks: int, seed: int, epoch: int
) -> None:
    epochs = Epochs(groups, per_batch, ranks, seed)
    read = [one for rank in range(ranks) for one in epochs.of_rank(epoch, rank).tolist()]
    assert len(read) == len(set(read)) == epochs.steps * per_batch * ranks
    assert set(read) <= set(range(groups))
    assert groups - len(read) < ranks * per_batch + ranks


@pytest.mark.slow
@given(GROUPS, st.integers(1, 4), SEEDS)
def test_with_batches_that_come_out_even_an_epoch_reads_everything(
    steps: int, ranks: int, seed: int
) -> None:
    epochs = Epochs(steps * ranks * 3, 3, ranks, seed)
    read = [one for rank in range(ranks) for one in epochs.of_rank(1, rank).tolist()]
    assert sorted(read) == list(range(steps * ranks * 3))
    assert [len(batch) for batch in epochs.batches(1, 0)] == [3] * steps


def test_epochs_and_seeds_have_other_orders() -> None:
    orders = [
        Epochs(1000, 10, 1, seed).of_rank(epoch, 0).tolist() for seed in (1, 2) for epoch in (1, 2)
    ]
    assert all(one != other for i, one in enumerate(orders) for other in orders[:i])
    assert orders[0] == Epochs(1000, 10, 1, 1).of_rank(1, 0).tolist()


def test_ranks_and_seeds_have_different_hashes() -> None:
    hashes = {Epochs(100, 5, 2, seed).sha256(2, rank) for seed in (1, 2) for rank in (0, 1)}
    assert len(hashes) == 4


def test_a_limit_of_steps_shortens_the_epoch_of_every_rank() -> None:
    epochs = Epochs(1000, 10, 2, 1, most_steps=7)
    assert epochs.steps == 7
    assert [len(epochs.batches(1, rank)) for rank in (0, 1)] == [7, 7]
