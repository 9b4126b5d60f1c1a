"""Checkpoints that have to be there before trials go on."""

from __future__ import annotations

import pytest

from mlpstorage_bench.checkpointing.config.parameters import Kind, Phase
from mlpstorage_bench.checkpointing.runner.lost_checkpoints import needed
from mlpstorage_bench.checkpointing.sizing import not_fitting
from mlpstorage_bench.errors import CapacityError
from mlpstorage_bench.units import GIB
from tests.checkpointing.runs import parameters


@pytest.mark.parametrize(
    ("kind", "phase", "finished", "planned", "expected"),
    [
        ("write", "write", 0, 3, set()),
        ("write", "write", 2, 3, {1, 2}),
        ("write", "write", 3, 3, {1, 2, 3}),
        ("write", "write", 3, 4, {2, 3}),
        ("write", "both", 2, 3, set()),
        ("read", "both", 0, 3, {1, 2, 3}),
        ("read", "both", 2, 4, {3, 1}),
        ("read", "read", 3, 3, set()),
    ],
)
def test_finished_writes_and_reads_to_come_need_their_checkpoints(
    kind: Kind, phase: Phase, finished: int, planned: int, expected: set[int]
) -> None:
    assert needed([1, 2, 3], kind, phase, finished, planned) == expected


def test_checkpoints_that_are_there_need_no_more_space() -> None:
    own = parameters(num_checkpoints_write=3)
    with pytest.raises(CapacityError, match=r"3 checkpoints need 6\.00 GiB"):
        not_fitting(own, 2 * GIB, 2 * GIB, None)
    not_fitting(own, 2 * GIB, 2 * GIB, None, there=2)
