"""`--mlps-resume=ID` refuses a run that its metadata shows to be none that can be continued."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.history.reading import read_metadata, run_of
from mlpstorage_bench.history.rerun import RERUN_VARIABLE, Rerun
from mlpstorage_bench.history.resume import RESUME_VARIABLE, resume_of
from mlpstorage_bench.process.identity import start_of
from mlpstorage_bench.results.kept_trials import KeptTrials
from tests.history.test_listing import answer_here
from tests.past_runs import REFERENCES, leave, leave_run

HERE = os.uname().nodename
COMMAND = {"command": [sys.executable, "-c", "pass"], "environment": {"A": "1"}}
OWN = {"invocation": COMMAND, "working_directory": "/", "exit_status": 2}
RUN_1 = "20261101_120100-0001"


def interrupted(results: Path, own: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Leave a run that was interrupted, with the record that it keeps."""
    given = {"status": "interrupted", "hosts": [HERE], **changes}
    path = leave_run(results, 1, **given, own={**OWN, **(own or {})})
    kept = KeptTrials(path.parent)
    kept.claim("run", RUN_1)
    kept.write_identity({"seed": 1})
    kept.release()
    return path


def resumed(path: Path, environ: dict[str, str]) -> Rerun:
    metadata = read_metadata(path)
    return resume_of(metadata, run_of(metadata, path).run, path.stat(), environ, ("A",))


def test_resumption_is_the_run_s_command_with_its_metadata_in_a_variable(tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    again = resumed(path, {"B": "2"})
    assert dict(again.environment) == {
        "A": "1",
        "B": "2",
        RERUN_VARIABLE: RUN_1,
        RESUME_VARIABLE: str(path),
    }
    assert again.shell_line().endswith("-c pass")


def test_run_that_has_died_or_was_aborted_can_be_resumed(tmp_path: Path) -> None:
    resumed(interrupted(tmp_path / "aborted", {"exit_status": 86}, status="failed"), {})
    resumed(interrupted(tmp_path / "unfit", {"exit_status": 4}, status="failed"), {})
    dead = interrupted(tmp_path / "died", {"process_id": 2**22 + 1}, status="running")
    metadata = read_metadata(dead)
    with pytest.raises(InvalidInputError, match="It is running, or has died where"):
        resumed(dead, {})  # its status now is looked up by the command
    assert PastRun.of_facts(run_of(metadata, dead).run.facts_text(), str(dead)).status == "died"


@pytest.mark.parametrize(
    ("own", "changes", "message"),
    [
        ({"exit_status": 0}, {"status": "passed"}, "It has ended, with the status passed: there"),
        ({"exit_status": 1}, {"status": "failed"}, "It has ended, with the status failed: there"),
        (
            {"process_id": os.getpid(), "process_start": start_of(os.getpid())},
            {"status": "running"},
            r"It is running, .*: process \d+ on ",
        ),
        ({}, {"status": "running", "hosts": ["elsewhere"]}, "It is running, .* on elsewhere"),
        ({"working_directory": "/nowhere"}, {}, "working directory is there, unlike /nowhere"),
        (
            {"invocation": {"command": ["mpirun", "pytest"], "environment": {}}},
            {"hosts": ["elsewhere"]},
            "whose rank 0 was on this host .*Resume it on elsewhere",
        ),
    ],
)
def test_run_that_cannot_be_continued_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own: dict[str, Any],
    changes: dict[str, Any],
    message: str,
) -> None:
    program = tmp_path / "mpirun"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    interrupted(tmp_path / "results", own, **changes)
    with pytest.raises(InvalidInputError, match=f"--mlps-resume: got '{RUN_1}'; .*{message}"):
        answer_here(tmp_path / "results", f"--mlps-resume={RUN_1}")


def test_run_of_another_user_is_refused(tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    path.chmod(0o666)
    with pytest.raises(InvalidInputError, match="no run of your own: other users may write its me"):
        answer_here(tmp_path, f"--mlps-resume={RUN_1}")
    if os.geteuid() == 0:
        path.chmod(0o644)
        os.chown(path, 65534, -1)
        with pytest.raises(InvalidInputError, match="its metadata belongs to user"):
            answer_here(tmp_path, f"--mlps-resume={RUN_1}")


def test_run_of_the_reference_or_without_records_is_refused(tmp_path: Path) -> None:
    leave(tmp_path / "theirs", "training_20250111_160323", REFERENCES)
    with pytest.raises(InvalidInputError, match="The reference has made it"):
        answer_here(tmp_path, "--mlps-resume=20250111_160323")
    path = interrupted(tmp_path)
    (path.parent / ".mlps-trials/run.json").unlink()
    with pytest.raises(InvalidInputError, match="has no record of finished trials"):
        answer_here(tmp_path, f"--mlps-resume={RUN_1}")
