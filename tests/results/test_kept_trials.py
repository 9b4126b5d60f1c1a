"""A trial is finished if its record is there and its files are as the record has them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import xxhash

from mlpstorage_bench.benchmark_type.records import CaseRecord, TrialRecord
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.results.kept_trials import DIRECTORY, KeptTrials, LastTrial
from mlpstorage_bench.results.tree import RunLocation
from tests.results.short_results import ShortResults

CASE = CaseRecord("kv_cache", "mine", 2, {}, test="test_it.py::test_a", workload_fingerprint="77")
TIMES = tuple(LastTrial(datetime(2026, 11, 1, 12, 0, n, tzinfo=UTC), float(n)) for n in (1, 2))


def keep(kept: KeptTrials, number: int, results: ShortResults | None = None) -> None:
    names = ("open", "local", "sys", "kv_cache", "model", "run", "20261101_120000")
    location = RunLocation(kept.directory.parents[8], *names)
    assert location.directory == kept.directory.parent
    ranks = [{"rank": rank, "trial": number, "value": 0.1 * number} for rank in range(2)]
    trial = TrialRecord(number, {}, ranks)
    kept.keep(location, results or ShortResults(), CASE, trial, {"n": number}, TIMES[number - 1])


@pytest.fixture
def kept(tmp_path: Path) -> KeptTrials:
    """Two finished trials of two ranks."""
    directory = tmp_path / "open/local/results/sys/kv_cache/model/run/20261101_120000"
    directory.mkdir(parents=True)
    trials = KeptTrials(directory)
    trials.claim("run", "r")
    keep(trials, 1)
    keep(trials, 2)
    trials.release()
    return trials


def states(kept: KeptTrials, case: CaseRecord = CASE, ranks: int = 2) -> list[object]:
    return [one.state["n"] for one in kept.finished("run", case, ranks)]


def test_finished_trials_have_their_ranks_results(kept: KeptTrials) -> None:
    assert states(kept) == [1, 2]
    (first, second) = kept.finished("run", CASE, 2)
    assert [rank["rank"] for rank in second.ranks] == [0, 1]
    assert [rank["value"] for rank in second.ranks] == [0.2, 0.2]
    assert len(list(kept.directory.parent.glob("case_mine/trial_*/rank_*/*.json"))) == 4
    assert kept.last("run") == TIMES[1]
    del first


def rank_file(kept: KeptTrials, trial: int) -> Path:
    (path,) = kept.directory.parent.glob(f"case_mine/trial_{trial}/rank_1/*.json")
    return path


def record(kept: KeptTrials, trial: int) -> Path:
    return kept.directory / "case_mine" / f"trial_{trial}.json"


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (lambda kept: rank_file(kept, 2).unlink(), [1]),
        (lambda kept: rank_file(kept, 2).write_text("{}"), [1]),
        (lambda kept: rank_file(kept, 1).write_text("{"), []),
        (lambda kept: record(kept, 2).unlink(), [1]),
        (lambda kept: record(kept, 2).write_text('{"test": "test_it.py::test_a"}'), [1]),
        (lambda kept: record(kept, 1).write_text("["), []),
    ],
)
def test_trial_with_damaged_files_is_not_finished(
    kept: KeptTrials, damage: Callable[[KeptTrials], object], left: list[int]
) -> None:
    damage(kept)
    assert states(kept) == left


def test_trials_of_another_workload_test_or_number_of_ranks_are_not_used(kept: KeptTrials) -> None:
    assert states(kept, replace(CASE, workload_fingerprint="78")) == []
    assert states(kept, replace(CASE, test="test_it.py::test_b")) == []
    assert states(kept, replace(CASE, case="other")) == []
    assert states(kept, ranks=3) == []


def test_records_are_of_one_process_at_a_time(kept: KeptTrials) -> None:
    kept.claim("run", "r")
    with pytest.raises(InvalidInputError, match="a run that no other process continues"):
        KeptTrials(kept.directory.parent).claim("run", "r")
    kept.release()
    KeptTrials(kept.directory.parent).claim("run", "r")


def test_discarded_trials_leave_no_files(kept: KeptTrials) -> None:
    kept.discard("mine")
    assert states(kept) == []
    assert not list(kept.directory.parent.glob("case_mine/**/*.json"))


def test_results_of_an_attempt_that_was_killed_are_replaced(kept: KeptTrials) -> None:
    file = rank_file(kept, 2)
    record(kept, 2).unlink()
    keep(kept, 2, ShortResults("case_{case}/trial_{trial}/rank_{rank}/results_of_later.json"))
    assert states(kept) == [1, 2]
    assert [path.name for path in file.parent.iterdir()] == ["results_of_later.json"]


@pytest.mark.parametrize("folder", ["", "trial_{trial}/"])
def test_results_of_ranks_lie_beside_each_other_and_other_files(
    kept: KeptTrials, folder: str
) -> None:
    metadata = kept.directory.parent / "metadata.json"
    metadata.write_text("{}")
    results = ShortResults(f"{folder}{{trial}}_of_{{rank}}.json")
    for number in (1, 2):
        keep(kept, number, results)
    assert states(kept) == [1, 2]
    assert metadata.exists()
    kept.discard("mine")
    assert [*kept.directory.parent.rglob("*_of_*.json")] == []
    assert metadata.exists()


def test_removal_leaves_the_results(kept: KeptTrials) -> None:
    kept.write_identity({"seed": 1})
    assert kept.read_identity("run") == {"seed": 1}
    kept.remove()
    assert [path.name for path in kept.directory.parent.iterdir()] == ["case_mine"]
    assert kept.read_identity("run") is None
    assert kept.last("run") is None
    kept.remove()


def test_records_are_not_removed_through_a_link(kept: KeptTrials, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (kept.directory / "case_mine").rename(outside)
    (kept.directory / "case_mine").symlink_to(outside)
    kept.remove()
    assert len(list(outside.iterdir())) == 4
    assert not (kept.directory.parent / DIRECTORY).exists()


@pytest.mark.parametrize("how", ["above", "absolute", "through a link"])
def test_record_names_no_file_outside_of_its_run(
    kept: KeptTrials, tmp_path: Path, how: str
) -> None:
    theirs = tmp_path / "outside" / "precious.json"
    theirs.parent.mkdir()
    theirs.write_text("{}")
    run = kept.directory.parent
    (run / "link").symlink_to(theirs.parent)
    place = {
        "above": os.path.relpath(theirs, run),
        "absolute": str(theirs),
        "through a link": "link/precious.json",
    }[how]
    content = json.loads(record(kept, 1).read_text())
    rank_0, _rank_1 = content["files"].items()
    content["files"] = dict([rank_0, (place, xxhash.xxh3_128_hexdigest(b"{}"))])
    record(kept, 1).write_text(json.dumps(content))
    assert states(kept) == []
    attempt = record(kept, 1).with_name("attempt_1.json")
    attempt.write_text(json.dumps({"files": [*content["files"]]}))
    kept.discard("mine")
    assert theirs.read_text() == "{}"
