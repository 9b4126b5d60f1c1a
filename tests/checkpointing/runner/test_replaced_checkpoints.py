"""Checkpoints of earlier runs in the directory of a rank: a run removes them when it begins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mlpstorage_bench.checkpointing.runner.manifest import Manifest
from mlpstorage_bench.errors import CapacityError, InvalidInputError, StorageError
from mlpstorage_bench.process.removal import MANIFEST
from mlpstorage_bench.trial import storage_modes
from mlpstorage_bench.trial.storage_modes import StorageModes
from tests.checkpointing.runner.engines import RESUMED, Opened, engine
from tests.checkpointing.runs import parameters
from tests.trials import SoloRanks

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]

LATER: Opened = ("later", False)
PHASES = pytest.mark.parametrize("phase", ["write", "both"])


class OneOfTwo(SoloRanks):
    size = 2


def directory(folder: Path, rank: int = 0) -> Path:
    return folder / "cache" / f"checkpoint_rank_{rank}"


def left(folder: Path) -> list[str]:
    """Return what lies in the rank's directory, and check that the list is right."""
    found = sorted(
        path.relative_to(directory(folder)).parts[0] for path in directory(folder).rglob("*.kv")
    )
    assert [f"0{number}" for number in listed(folder)] == found
    return found


def listed(folder: Path) -> list[str]:
    return [*json.loads((directory(folder) / MANIFEST).read_text())["checkpoints"]]


@pytest.fixture(scope="module")
def once_written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    with engine(folder, phase="write") as opened:
        for trial in (1, 2):
            opened.run_trial(parameters(phase="write"), "write", trial)
    return folder


@pytest.fixture
def written(once_written: Path, tmp_path: Path) -> Path:
    """A folder in which a write phase has left two checkpoints."""
    shutil.copytree(once_written / "cache", tmp_path / "cache")
    assert left(tmp_path) == ["01", "02"]
    return tmp_path


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """No byte of the filesystem is free."""
    monkeypatch.setattr(StorageModes, "free_bytes", lambda _: 0)


@pytest.mark.parametrize("phase", ["read", "write", "both"])
def test_checkpoints_stay_where_the_storage_cannot_be_probed(
    written: Path, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    def fail(_: Path) -> None:
        raise StorageError("probing", "the storage", "No space left on device")

    monkeypatch.setattr(storage_modes, "probe_direct_io", fail)
    with pytest.raises(StorageError, match="No space left"), engine(written, phase=phase):
        pass
    assert left(written) == ["01", "02"]


@pytest.mark.parametrize("phase", ["read", "write", "both"])
def test_checkpoints_stay_where_chunks_do_not_suit_the_storage(
    written: Path, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    def refuse(*_: object) -> int:
        raise InvalidInputError("io_chunk_kib", 4, "multiples of 64")

    monkeypatch.setattr(StorageModes, "alignment", refuse)
    with pytest.raises(InvalidInputError, match="multiples of 64"), engine(written, phase=phase):
        pass
    assert left(written) == ["01", "02"]


@pytest.mark.usefixtures("full")
@PHASES
def test_checkpoints_stay_where_those_of_a_new_run_do_not_fit(written: Path, phase: str) -> None:
    with (
        pytest.raises(CapacityError, match=r"3 checkpoints need .* and 0\.01 GiB are free"),
        engine(written, None, LATER, phase=phase, num_checkpoints_write=3) as opened,
    ):
        opened.check_cases(["write"])
    assert left(written) == ["01", "02"]


@pytest.mark.usefixtures("full")
@PHASES
def test_a_new_run_replaces_checkpoints_when_its_first_case_begins(
    written: Path, phase: str
) -> None:
    with engine(written, None, LATER, phase=phase) as opened:
        opened.check_cases(["write"])  # the space of the old ones is enough
        assert left(written) == ["01", "02"]
        opened.begin_case()
        assert [path.name for path in directory(written).iterdir()] == [".claim"]
        opened.run_trial(parameters(phase=phase), "write", 1)
        opened.begin_case()
        assert [path.name for path in directory(written).glob("0*")] == ["01"]


@PHASES
def test_a_new_run_without_a_case_leaves_checkpoints_as_they_were(
    written: Path, phase: str
) -> None:
    before = (directory(written) / MANIFEST).read_text()
    with engine(written, None, LATER, phase=phase):
        pass
    assert left(written) == ["01", "02"]
    assert (directory(written) / MANIFEST).read_text() == before


def test_files_without_a_list_are_removed_in_any_case(written: Path) -> None:
    (directory(written) / MANIFEST).unlink()
    with engine(written, None, LATER, phase="write"):
        pass
    assert not directory(written).exists()


@pytest.mark.usefixtures("full")
def test_space_of_other_ranks_checkpoints_counts_where_all_share_the_storage(
    written: Path,
) -> None:
    shutil.copytree(directory(written), directory(written, 1))
    shutil.copytree(directory(written), directory(written, 2))  # of no rank of this run
    for number in ("01", "02"):
        shutil.rmtree(directory(written) / number)
    with engine(written, OneOfTwo(), LATER, phase="write", num_checkpoints_write=1) as opened:
        opened.check_cases(["write"])
    with (
        pytest.raises(CapacityError, match="2 checkpoints need"),
        engine(written, OneOfTwo(), LATER, phase="write", num_checkpoints_write=2) as opened,
    ):
        opened.check_cases(["write"])


@pytest.mark.usefixtures("full")
def test_checkpoints_of_another_run_stay_where_a_resumed_one_does_not_fit(written: Path) -> None:
    path = directory(written) / MANIFEST
    Manifest.of_file(path).model_copy(update={"run_id": "another"}).write(path.parent)
    with (
        pytest.raises(CapacityError, match="3 checkpoints need"),
        engine(written, None, RESUMED, phase="write", num_checkpoints_write=3) as opened,
    ):
        opened.check_cases(["write"])
    assert left(written) == ["01", "02"]
    with engine(written, None, RESUMED, phase="write") as opened:
        opened.check_cases(["write"])
        opened.begin_case()
        assert [path.name for path in directory(written).iterdir()] == [".claim"]


@pytest.mark.usefixtures("full")
def test_own_checkpoints_of_a_resumed_run_take_no_further_space(written: Path) -> None:
    with engine(written, None, RESUMED, phase="write") as opened:
        opened.check_cases(["write"])
        opened.begin_case()
    assert left(written) == ["01", "02"]
    with (
        pytest.raises(CapacityError, match=r"1 checkpoints need .* and 0\.00 GiB are free"),
        engine(written, None, RESUMED, phase="write", num_checkpoints_write=3) as opened,
    ):
        opened.check_cases(["write"])
    assert left(written) == ["01", "02"]
