"""The runs of an interrupted session are found, taken up in their order, and not for others."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.benchmark_type.records import CaseRecord, TrialRecord
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.process.identity import start_of
from mlpstorage_bench.results.kept_trials import KeptTrials, LastTrial
from mlpstorage_bench.results.tree import RunLocation
from mlpstorage_bench.session.continued_session import ContinuedSession, continued_session
from tests.past_runs import leave_run
from tests.results.short_results import ShortResults

CASE = CaseRecord("kv_cache", "mine", 1, {}, test="test_it.py::test_a", workload_fingerprint="77")
STARTED = datetime(2026, 11, 1, 12, tzinfo=UTC)
"""A minute before run 1; each run begins a minute after the one before."""


def interrupted(results: Path, number: int, session: str = "s") -> Path:
    """Leave a run of a session that was interrupted after 20 s."""
    end = STARTED + timedelta(minutes=number, seconds=20)
    ended = {"status": "interrupted", "runtime": 20.0, "end_datetime": end.isoformat()}
    path = leave_run(results, number, **ended, own={"session_id": session})
    kept = KeptTrials(path.parent)
    kept.claim("run", "r")
    kept.write_identity({"seed": 1})
    kept.release()
    return path


def finish(path: Path, number: int) -> None:
    """Keep a trial with which a run has ended."""
    *_, mode, organization, _, system, kind, model, command, started = path.parent.parts
    names = (mode, organization, system, kind, model, command, started)
    kept = KeptTrials(path.parent)
    trial = TrialRecord(1, {}, [{"rank": 0, "trial": 1}])
    end = STARTED + timedelta(minutes=number, seconds=20)
    location = RunLocation(path.parents[8], *names)
    kept.keep(location, ShortResults(), CASE, trial, {}, LastTrial(end, 20.0))


def continued(path: Path, minute: float) -> ContinuedSession:
    return continued_session(path, STARTED + timedelta(minutes=minute))


def test_runs_of_the_session_are_taken_in_their_order(tmp_path: Path) -> None:
    paths = [interrupted(tmp_path, number) for number in (1, 2, 4)]
    interrupted(tmp_path, 3, session="another")
    foreign = interrupted(tmp_path, 5)
    foreign.chmod(0o666)
    leave_run(tmp_path, 6, own={"session_id": "s"})  # it has ended, and keeps no trials
    found = continued(paths[1], 10)
    assert (found.session_id, found.benchmark_type) == ("s", "kv_cache")
    assert [run.metadata_path for run in found.runs] == paths
    taken = found.take("kv_cache", "elsewhere")
    assert taken is not None
    assert taken.metadata_path == paths[0]
    assert found.take("kv_cache", "elsewhere") is None
    model = found.runs[0].model
    for path in paths[1:]:
        taken = found.take("kv_cache", model)
        assert taken is not None
        assert taken.metadata_path == path
    assert found.take("kv_cache", model) is None


@pytest.mark.parametrize("damage", ["truncated", "linked to itself"])
def test_damaged_file_of_another_run_is_left_out(tmp_path: Path, damage: str) -> None:
    damaged, path = (interrupted(tmp_path, number) for number in (1, 2))
    if damage == "truncated":
        damaged.write_text(damaged.read_text()[:50])
    else:
        damaged.unlink()
        damaged.symlink_to(damaged)
    found = continued(path, 10)
    assert [run.metadata_path for run in found.runs] == [path]
    left_out, _ = found.lines()
    assert left_out.startswith("left out, as it cannot be read: ")
    assert str(damaged) in left_out


def test_damaged_file_of_the_run_itself_is_refused(tmp_path: Path) -> None:
    path = interrupted(tmp_path, 1)
    path.write_text(path.read_text()[:50])
    with pytest.raises(InvalidInputError, match="accepted: a run's metadata"):
        continued(path, 10)


def test_run_of_old_metadata_goes_on_alone(tmp_path: Path) -> None:
    path = leave_run(tmp_path, 1, status="interrupted")
    leave_run(tmp_path, 2, status="interrupted")
    found = continued(path, 10)
    assert [run.metadata_path for run in found.runs] == [path]
    assert [line.partition(" of")[0] for line in found.lines()] == ["part 2"]


def killed(results: Path, number: int, type_name: str, session: str = "s", **own: Any) -> str:
    """Leave a run of a type whose places have no level for the command, as a kill leaves it."""
    path = interrupted(results, number, session)
    content = json.loads(path.read_text())
    content |= {"benchmark_type": type_name, "model": "m", "hosts": [os.uname().nodename]}
    content |= {"status": "running"}
    content["mlpstorage"] |= {"process_id": os.getpid(), **own}
    folder = path.parents[4] / type_name / "m" / path.parent.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    path.parent.rename(folder)
    (folder / path.name).unlink()
    (folder / f"{type_name}_{folder.name}_metadata.json").write_text(json.dumps(content))
    return str(content["mlpstorage"]["run_id"])


def test_unfinished_runs_of_other_types_are_named(tmp_path: Path) -> None:
    path = interrupted(tmp_path, 1)
    here = start_of(os.getpid())
    assert here is not None
    unfinished = killed(tmp_path, 2, "copy_files", process_start=f"{here}0")
    killed(tmp_path, 3, "training", process_start=here)  # it is being continued
    killed(tmp_path, 4, "checkpointing", "another", process_start=f"{here}0")
    found = continued(path, 10)
    assert [run.metadata_path for run in found.runs] == [path]
    line, _ = found.lines()
    assert line == (
        f"run {unfinished} of the interrupted session (copy_files, m) is unfinished, too, and is "
        f"not continued here. To finish it: --mlps-resume={unfinished}"
    )


def test_long_interruption_is_stated_when_the_session_goes_on(tmp_path: Path) -> None:
    paths = [interrupted(tmp_path, number) for number in (1, 2)]
    assert len([*continued(paths[0], 10).lines()]) == 1, "no run has ended: its length is unknown"
    finish(paths[0], 1)
    in_time = [*continued(paths[0], 2 + 39 / 60).lines()]
    assert in_time == ["session s goes on: 1 of its runs have ended and are not run again"]
    _, warning = continued(paths[0], 2 + 40 / 60).lines()
    run_id = continued(paths[0], 10).runs[0].run_id
    assert warning.startswith("WARNING: the session was interrupted for 20 s, and run 20261101_")
    assert warning.endswith(f"--mlps-history-rerun={run_id}")
