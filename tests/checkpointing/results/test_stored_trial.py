"""Finished checkpoints as JSON, and back."""

from __future__ import annotations

import json

import pytest

from mlpstorage_bench.checkpointing.results.pooling import pool_checkpoint, pool_samples
from mlpstorage_bench.checkpointing.results.rank_checkpoint import CheckpointSamples
from mlpstorage_bench.checkpointing.results.stored_trial import restored_trial, stored_trial
from mlpstorage_bench.trial.outcome import StoredTrial
from tests.checkpointing.results.records import rank_checkpoint


def test_a_stored_checkpoint_is_restored_with_its_samples() -> None:
    ranks = [rank_checkpoint(0), rank_checkpoint(1, seconds=9.0)]
    before = StoredTrial(pool_checkpoint(ranks), CheckpointSamples.of(ranks), None)
    after = restored_trial(json.loads(json.dumps(stored_trial(before))))
    assert after.result.metrics() == before.result.metrics()
    assert after.result.by_rank == before.result.by_rank
    assert after.result.stragglers == before.result.stragglers != []
    assert pool_samples(after.samples) == pool_samples(before.samples)


@pytest.mark.parametrize("content", [{}, {"values": None}, {"values": {"by_rank": 3}}])
def test_other_json_is_no_stored_checkpoint(content: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"stored checkpoint|validation error"):
        restored_trial(content)
