"""Ceiling of the harness for checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from mlpstorage_bench.checkpointing.config.parameters import KINDS, Kind
from mlpstorage_bench.checkpointing.runner.calibration import calibrate
from mlpstorage_bench.storage.payload import Payload
from tests.checkpointing.runs import Share
from tests.trials import SoloRanks


class NotingRanks(SoloRanks):
    """A rank that notes at each barrier whether interrupts are deferred."""

    def __init__(self) -> None:
        super().__init__()
        self.is_deferred = False
        self.noted: list[bool] = []

    def barrier(self) -> None:
        self.noted.append(self.is_deferred)

    def defer_interrupts(self) -> AbstractContextManager[None]:
        @contextmanager
        def deferred() -> Iterator[None]:
            self.is_deferred = True
            yield
            self.is_deferred = False

        return deferred()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_interrupts_wait_until_lanes_have_stopped(tmp_path: Path, kind: Kind) -> None:
    share, ranks = Share(tmp_path), NotingRanks()
    ceiling = calibrate(
        share.parameters, ranks, Payload(1), share.files.files, kind, is_queued=False
    )
    assert ceiling is not None
    assert ceiling.operations_per_s > 0
    assert ceiling.gib_s > 0
    assert ranks.noted == [True, True]
    assert not [*tmp_path.rglob("*.pt")], "no file is written"
