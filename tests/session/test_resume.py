"""`--mlps-resume=ID` continues an interrupted run: finished trials stay, others run anew."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.kvcache.config import profile_file
from mlpstorage_bench.leaves.place import TIMESTAMP
from mlpstorage_bench.results.kept_trials import DIRECTORY
from tests.session.killed_runs import (
    AS_ROOT,
    CONFTEST,
    finished_files,
    in_matrix,
    kill,
    leaf,
)
from tests.session.tiny import TINY
from tests.variants import first_of

SIMULATED = (*TINY, "--mlps-set=storage=null", "--mlps-cache-dir=cache")
TESTS = """
import pytest

@pytest.mark.parametrize("workload", ["1", "3"])
def test_it(kvcache, workload):
    kvcache.run(workload)
"""
ENGINE = "mlpstorage_bench.kvcache.runner.engine"
KEPT = "mlpstorage_bench.results.kept_trials"
POINTS: Mapping[str, tuple[str, str, int, str, int]] = {
    "before the first trial": (ENGINE, "Engine.run_trial", 1, "", 0),
    "in the first window": ("mlpstorage_bench.measure.recorder", "EntryObserver.done", 9, "", 0),
    "before results of the first trial": (KEPT, "KeptTrials.keep", 1, "", 0),
    "before the record of the first trial": ("pathlib", "Path.replace", 1, "trial_1.json", 0),
    "between trials": (ENGINE, "Engine.run_trial", 2, "", 1),
    "between cases": ("mlpstorage_bench.session.case_log", "CaseLog.open_case", 2, "", 2),
    "in the second case": (ENGINE, "Engine.run_trial", 4, "", 3),
    "before the session's results": ("mlpstorage_bench.session.run", "Run.finish", 1, "", 4),
    "while the session's results are written": ("pathlib", "Path.replace", 5, "_metadata.json", 4),
}
"""Place, number of the call, text in its arguments, and finished trials of four."""
IN_EACH_TEST_RUN = ("while the session's results are written",)
"""Points that `make test` tries; `make test-failures` tries all."""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A directory with two cases of two trials each."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=TESTS)
    monkeypatch.setenv("PYTEST_ADDOPTS", f"{os.environ['PYTEST_ADDOPTS']} -p no:cacheprovider")
    return pytester


def metadata(results: Path) -> dict[str, Any]:
    (path,) = results.rglob("*_metadata.json")
    here = str(results.parent.resolve())
    content: dict[str, Any] = json.loads(path.read_text().replace(here, "/here"))
    return content


def resume(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.RunResult:
    monkeypatch.delenv("KILL", raising=False)
    run_id = metadata(project.path / "results")["mlpstorage"]["run_id"]
    return project.runpytest_subprocess("--mlps-results-dir=results", f"--mlps-resume={run_id}")


@pytest.mark.parametrize(
    "place",
    [
        ("mlpstorage_bench.session.run", "Run.claim", 1),
        pytest.param(("pathlib", "Path.replace", 1, "_metadata.json"), marks=pytest.mark.long),
    ],
)
def test_run_killed_before_it_has_metadata_leaves_no_directory_of_a_run(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, place: tuple[Any, ...]
) -> None:
    kill(monkeypatch, *place)
    assert project.runpytest_subprocess(*SIMULATED).ret == -9
    found = (project.path / "results").rglob("*")
    assert [path for path in found if TIMESTAMP.fullmatch(path.name)] == []


def status_in_the_references_list(leaf: Path) -> str:
    """Return the status that the reference's list of runs has for a directory."""
    (path,) = leaf.glob("*_metadata.json")
    status = json.loads(path.read_text())["exit_status"]
    is_complete = status == 0 if isinstance(status, int) else (leaf / "summary.json").exists()
    return "complete" if is_complete else "failed"


def trials_run(project: pytest.Pytester, rank: int = 0) -> int:
    """Return how many trials were begun since the last question."""
    path = project.path / f"{rank}.ran"
    count = len(path.read_text().splitlines()) if path.exists() else 0
    path.unlink(missing_ok=True)
    return count


def without_times(content: dict[str, Any]) -> dict[str, Any]:
    """Return what two runs of the same simulation have in common."""
    own = dict(content["mlpstorage"])
    cases = {}
    for name, case in own["cases"].items():
        trials = [
            {**trial, "metrics": numbers_that_repeat(trial["metrics"])} for trial in case["trials"]
        ]
        cases[name] = {**case, "trials": trials}
    outcomes = [{**test, "duration_s": 0} for test in own["tests"]]
    varying = (
        *("run_id", "session_id", "start_datetime", "end_datetime", "process_id"),
        *("process_start", "invocation", "commit_info", "resumed", "filesystems"),
    )
    own = {**{name: own[name] for name in own.keys() - varying}, "cases": cases, "tests": outcomes}
    own["metrics"] = {name: numbers_that_repeat(one) for name, one in own["metrics"].items()}
    own["files"] = len(own["files"])
    varied = {"began_at": 0, "seconds": 0, "removed_bytes": 0}  # a new part has nothing to remove
    steps = [{**step, **varied} for step in own["sequence"]["steps"]]
    own["sequence"] = {**own["sequence"], "steps": steps}
    kept = ("benchmark_type", "model", "parameters", "hosts", "exit_status", "verification")
    return {**{name: content[name] for name in kept}, "keys": sorted(content), "own": own}


def numbers_that_repeat(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name not in MEASURED}


MEASURED = frozenset({"peak_rss_bytes"})
"""Metrics that a simulation measures, too."""


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """The metadata of the run without interruption."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    (folder / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", *SIMULATED]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return without_times(metadata(folder / "results"))


@pytest.mark.slow
@pytest.mark.parametrize("point", in_matrix(POINTS, IN_EACH_TEST_RUN))
def test_resumed_run_has_the_results_of_one_without_interruption(
    project: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    uninterrupted: dict[str, Any],
    point: str,
) -> None:
    *place, finished = POINTS[point]
    kill(monkeypatch, *place)  # type: ignore[arg-type]  # as they are declared
    assert project.runpytest_subprocess(*SIMULATED).ret == -9
    results = project.path / "results"
    before, files = metadata(results), finished_files(leaf(results))
    assert len(files) == finished
    if point != "while the session's results are written":
        assert status_in_the_references_list(leaf(results)) == "failed"
    trials_run(project)
    result = resume(project, monkeypatch)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["mlpstorage: part 2 of run *: trials that have finished are not*"])
    after = metadata(results)
    note = after["mlpstorage"]["notes"].pop(0)
    assert note.startswith("the run was interrupted and resumed, 2 parts: trials that had not")
    assert without_times(after) == uninterrupted
    assert trials_run(project) == 4 - finished
    assert {name: (leaf(results) / name).read_bytes() for name in files} == files
    assert not (leaf(results) / DIRECTORY).exists()
    assert status_in_the_references_list(leaf(results)) == "complete"
    assert len(list(leaf(results).glob("*/trial_*/rank_0/*"))) == 4
    for name in ("run_datetime", "invocation_start_time"):
        assert after[name] == before[name]
    for name in ("run_id", "start_datetime"):
        assert after["mlpstorage"][name] == before["mlpstorage"][name]
    parts = after["mlpstorage"]["resumed"]["parts"]
    assert [part["status"] for part in parts] == ["died", "passed"]
    assert after["runtime"] == pytest.approx(sum(part["runtime_s"] for part in parts))


@pytest.mark.long
@pytest.mark.slow
def test_run_can_be_interrupted_again_and_again(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, uninterrupted: dict[str, Any]
) -> None:
    results = project.path / "results"
    kill(monkeypatch, ENGINE, "Engine.run_trial", 2)
    project.runpytest_subprocess(*SIMULATED)
    run_id = metadata(results)["mlpstorage"]["run_id"]
    again = ("--mlps-results-dir=results", f"--mlps-resume={run_id}")
    kill(monkeypatch, ENGINE, "Engine.run_trial", 3)  # the last: three are left
    assert project.runpytest_subprocess(*again).ret == -9
    files = finished_files(leaf(results))
    assert len(files) == 3
    assert len(metadata(results)["mlpstorage"]["resumed"]["parts"]) == 2
    assert resume(project, monkeypatch).ret == 0
    after = metadata(results)
    assert "and resumed, 3 parts: " in after["mlpstorage"]["notes"].pop(0)
    assert without_times(after) == uninterrupted
    assert {name: (leaf(results) / name).read_bytes() for name in files} == files
    resumed = after["mlpstorage"]["resumed"]
    assert [part["status"] for part in resumed["parts"]] == ["died", "died", "passed"]
    ends = [part["ended"] for part in resumed["parts"]]
    starts = [part["started"] for part in resumed["parts"]]
    assert [pause["began"] for pause in resumed["pauses"]] == ends[:2]
    assert [pause["ended"] for pause in resumed["pauses"]] == starts[1:]
    assert after["runtime"] == pytest.approx(sum(one["runtime_s"] for one in resumed["parts"]))


def interrupt_at_trial(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, trial: int
) -> None:
    """Have the session interrupted, and not killed, when the trial begins."""
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace("SIGKILL", "SIGINT"))
    kill(monkeypatch, ENGINE, "Engine.run_trial", trial)


@pytest.mark.long
@pytest.mark.slow
def test_run_that_ctrl_c_has_ended_is_resumed_on_storage(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at_trial(project, monkeypatch, 4)
    stopped = project.runpytest_subprocess(*TINY, "--mlps-cache-dir=cache")
    assert stopped.ret == pytest.ExitCode.INTERRUPTED
    results = project.path / "results"
    assert metadata(results)["mlpstorage"]["status"] == "interrupted"
    files = finished_files(leaf(results))
    assert len(files) == 3
    assert resume(project, monkeypatch).ret == 0
    after = metadata(results)
    assert {name: (leaf(results) / name).read_bytes() for name in files} == files
    parts = after["mlpstorage"]["resumed"]["parts"]
    assert [part["status"] for part in parts] == ["interrupted", "passed"]
    case = after["mlpstorage"]["metrics"]["3"]  # a trial of each part
    trials = after["mlpstorage"]["cases"]["3"]["trials"]
    assert case["trials"] == len(trials) == 2
    assert case["requests"] == sum(trial["metrics"]["requests"] for trial in trials)
    p95 = [trial["metrics"]["read_p95_ms"] for trial in trials]
    assert min(p95) <= case["read_p95_ms"] <= max(p95)


@pytest.mark.slow
@pytest.mark.launches_mpi
@pytest.mark.parametrize("rank", first_of("1", "0"))
def test_run_under_mpirun_is_resumed_with_the_same_ranks(
    project: pytest.Pytester,
    run_ranks: Callable[..., pytest.RunResult],
    monkeypatch: pytest.MonkeyPatch,
    rank: str,
) -> None:
    kill(monkeypatch, ENGINE, "Engine.run_trial", 4, rank=rank)
    assert run_ranks(2, *SIMULATED).ret != 0
    results = project.path / "results"
    files = finished_files(leaf(results))
    assert len(files) == 2 * 3
    for number in range(2):
        trials_run(project, number)
    assert resume(project, monkeypatch).ret == 0
    after = metadata(results)
    assert (after["num_processes"], after["mlpstorage"]["status"]) == (2, "passed")
    assert [trials_run(project, number) for number in range(2)] == [1, 1]
    assert {name: (leaf(results) / name).read_bytes() for name in files} == files
    assert [case["trials"] for case in after["mlpstorage"]["metrics"].values()] == [2, 2]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.launches_mpi
def test_run_whose_ranks_we_started_is_resumed(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(monkeypatch, ENGINE, "Engine.run_trial", 2, rank="1")
    ranks = ["--mlps-num-processes=2", "--mlps-oversubscribe", *AS_ROOT]
    assert project.runpytest_subprocess(*SIMULATED, *ranks).ret != 0
    results = project.path / "results"
    assert metadata(results)["mlpstorage"]["status"] == "died"
    files = finished_files(leaf(results))
    assert len(files) == 2
    assert resume(project, monkeypatch).ret == 0
    after = metadata(results)
    assert (after["num_processes"], after["mlpstorage"]["status"]) == (2, "passed")
    assert {name: (leaf(results) / name).read_bytes() for name in files} == files


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


REFUSAL = """
from mlpstorage_bench.errors import InvalidInputError

def refuse(*_):
    raise InvalidInputError("--mlps-cache-dir", "cache", "a larger one")

Engine.check_cases = refuse
"""


@pytest.mark.long
@pytest.mark.slow
def test_part_that_the_engine_refuses_changes_no_file_of_the_run(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at_trial(project, monkeypatch, 2)
    project.runpytest_subprocess(*SIMULATED)
    run = leaf(project.path / "results")
    before = contents(run)
    assert (run / "summary.json").exists()
    with (project.path / "conftest.py").open("a") as conftest:
        conftest.write(REFUSAL)
    refused = resume(project, monkeypatch)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*accepted: a larger one*"])
    assert contents(run) == before


@pytest.mark.long
@pytest.mark.slow
def test_session_that_differs_is_refused_and_writes_nothing(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(monkeypatch, ENGINE, "Engine.run_trial", 2)
    quick = Path(str(profile_file.__file__)).parent / "profiles" / "quick.yaml"
    profile = project.path / "mine.yaml"
    profile.write_text(quick.read_text())
    project.runpytest_subprocess(*SIMULATED, f"--mlps-profile={profile}", "--mlps-seed=7")
    results = project.path / "results"
    before = contents(leaf(results))
    profile.write_text(re.sub(r"num_users: \d+", "num_users: 3", quick.read_text(), count=1))
    refused = resume(project, monkeypatch)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    message = refused.stdout.str() + refused.stderr.str()
    assert "--mlps-resume: got '" in message
    assert "num_users" in message
    assert contents(leaf(results)) == before
    profile.write_text(quick.read_text())
    identity = leaf(results) / DIRECTORY / "run.json"
    with (leaf(results) / DIRECTORY / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = resume(project, monkeypatch)
        assert "a run that no other process continues" in refused.stdout.str() + str(refused.stderr)
    assert contents(leaf(results)) == before
    assert identity.exists()
    results.rename(project.path / "moved")
    run_id = metadata(project.path / "moved")["mlpstorage"]["run_id"]
    refused = project.runpytest_subprocess("--mlps-results-dir=moved", f"--mlps-resume={run_id}")
    assert "Its results would be" in refused.stdout.str() + refused.stderr.str()
    assert not (project.path / "results" / "open").exists()
