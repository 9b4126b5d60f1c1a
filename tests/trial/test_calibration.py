"""Ceiling of lanes over stores that keep no data."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.trial.lane_files import LaneFiles
from mlpstorage_bench.trial.lane_load import LaneLoad, ceiling_of
from mlpstorage_bench.trial.storage_modes import StorageModes
from tests.trials import SoloRanks

pytestmark = pytest.mark.slow


def copy(files: LaneFiles) -> None:
    files.read(files.write(f"of lane {files.number}", 1 << 18))


def nothing(files: LaneFiles) -> None:
    assert files.number >= 0


@pytest.fixture
def storage(tmp_path: Path) -> StorageModes:
    found = StorageModes(RankSite("here", tmp_path), tmp_path, {None}, {"fdatasync"})
    found.probe()
    return found


def test_ceiling_is_of_the_load_s_own_work_and_writes_no_file(
    storage: StorageModes, tmp_path: Path
) -> None:
    load = LaneLoad(copy, 2, {}, chunk_kib=64, chunks_in_flight=2, calibration_s=0.1)
    ceiling = ceiling_of(load, storage, Payload(1), SoloRanks())
    assert ceiling is not None
    assert ceiling.operations_per_s > 0
    assert ceiling.gib_s > 0
    assert not [*tmp_path.rglob("of lane*")], "no file is written"


@pytest.mark.parametrize(
    "load",
    [LaneLoad(copy, 1, {}, calibration_s=0.0), LaneLoad(nothing, 1, {}, calibration_s=0.05)],
    ids=["skipped", "moves nothing"],
)
def test_load_has_no_ceiling_if_it_skips_it_or_moves_nothing(
    storage: StorageModes, load: LaneLoad
) -> None:
    assert ceiling_of(load, storage, Payload(1), SoloRanks()) is None
