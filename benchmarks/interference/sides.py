"""Sides of the study of interference: a case of each benchmark type, in a session of its own.

`sessions.py` starts them; no other command collects them.
"""

from __future__ import annotations

import pytest

from benchmarks.interference.results import CASE
from mlpstorage_bench.checkpointing.fixture import Checkpointing
from mlpstorage_bench.kvcache.fixture import KVCache
from mlpstorage_bench.training.fixture import Training

pytestmark = pytest.mark.usefixtures("awaited")


def test_kv_cache(kvcache: KVCache) -> None:
    kvcache.run(kvcache.workloads[0], case=CASE)


def test_checkpointing(checkpointing: Checkpointing) -> None:
    checkpointing.run("write", case=CASE)


def test_training(training: Training) -> None:
    training.run(training.workloads[0], case=CASE)
