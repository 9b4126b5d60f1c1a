"""Checkpoints of a training job: written, then read, as the profile has them."""

from mlpstorage_bench.checkpointing.fixture import Checkpointing


def test_checkpoint(checkpointing: Checkpointing, checkpointing_kind: str) -> None:
    checkpointing.run(checkpointing_kind)
