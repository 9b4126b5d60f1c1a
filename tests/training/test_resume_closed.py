"""A closed training that was interrupted goes on with the runs of its session that are missing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.results.kept_trials import DIRECTORY
from tests.conftest import RunRanks
from tests.session import closed
from tests.session.closed import results_on_another_filesystem
from tests.session.killed_runs import CONFTEST, finished_files, in_matrix, kill
from tests.training.shortened import CASES, CLOSED, LONG_S, TEST, metadata_in, shorten

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]

results = pytest.fixture(results_on_another_filesystem)
ENGINE = "mlpstorage_bench.training.runner.engine"
RUN = "mlpstorage_bench.session.run"
COUNTED = """
from mlpstorage_bench.training.runner.engine import TrainingEngine

_train = TrainingEngine.run_trial

def counted_training(self, *given):
    with open(f"{self._ranks.rank}.trained", "a") as file:
        print(given[1:], file=file)
    return _train(self, *given)

TrainingEngine.run_trial = counted_training
"""
IN_A_RUN = (ENGINE, "TrainingEngine.run_trial", 3)
POINTS: Mapping[str, tuple[tuple[str, str, int], int, int | None]] = {
    "in the run that warms up": ((ENGINE, "TrainingEngine.run_trial", 1), 0, 0),
    "in a run": (IN_A_RUN, 2, 2),
    "before a run ends": ((ENGINE, "TrainingEngine.pool_case", 2), 2, None),
    "between runs": (
        ("mlpstorage_bench.training.plan", "TrainingPlan.request_stream_sha256", 3),
        2,
        None,
    ),
    "in the last run": ((ENGINE, "TrainingEngine.run_trial", 6), 5, 5),
    "before the session's results": ((RUN, "Run.finish", 1), 6, None),
    "while the session's results are written": ((RUN, "Run.finish", 4), 6, None),
}
"""The place and the number of its call, finished runs of six, and the one that is interrupted."""
IN_EACH_TEST_RUN = ("in a run",)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a shortened closed training."""
    shorten(pytester.path)
    pytester.makeconftest(CONFTEST + COUNTED)
    pytester.makepyfile(TEST)
    return pytester


def trained(project: pytest.Pytester, rank: int = 0) -> int:
    """Return how many trials were begun since the last question."""
    path = project.path / f"{rank}.trained"
    count = len(path.read_text().splitlines()) if path.exists() else 0
    path.unlink(missing_ok=True)
    return count


def leaves_in(results: Path) -> list[Path]:
    return sorted(results.glob("closed/local/results/*/training/unet3d/run/*"))


def resume(project: pytest.Pytester, results: Path, run_id: str) -> pytest.RunResult:
    options = (f"--mlps-results-dir={results}", f"--mlps-resume={run_id}")
    return project.runpytest_subprocess(*options)


def rules_violated(project: pytest.Pytester, results: Path) -> set[str]:
    validated = project.runpytest_subprocess(f"--mlps-validate={results}")
    return {line.split()[1] for line in validated.outlines if line.startswith("violated")}


def reasons_of(metadata: Mapping[str, Any]) -> list[str]:
    """Return why a run is INVALID, but for what the tests have shortened."""
    reasons = metadata["mlpstorage"]["not_valid_because"]
    return [one for one in reasons if "differs from the sanctioned training" not in one]


def check_complete(results: Path, resumed: int | None = None) -> list[dict[str, Any]]:
    """Check that a session has all its runs, and return their metadata.

    `resumed` is the number of the only one that has several parts, from 0.
    """
    runs = metadata_in(results)
    own = [one["mlpstorage"] for one in runs]
    assert [list(one["cases"]) for one in own] == CASES
    assert [len(case["trials"]) for one in own for case in one["cases"].values()] == [1] * 6
    assert {(one["status"], one["exit_status"]) for one in own} == {("passed", 0)}
    assert len({one["session_id"] for one in own}) == 1
    assert [number for number, one in enumerate(own) if "resumed" in one] == (
        [] if resumed is None else [resumed]
    )
    leaves = leaves_in(results)
    assert len(leaves) == 6
    assert all((leaf / "summary.json").is_file() for leaf in leaves)
    assert not any((leaf / DIRECTORY).exists() for leaf in leaves)
    return runs


@pytest.mark.parametrize("point", in_matrix(POINTS, IN_EACH_TEST_RUN))
def test_session_that_was_killed_goes_on_with_the_runs_that_are_missing(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, results: Path, point: str
) -> None:
    place, finished, resumed = POINTS[point]
    kill(monkeypatch, *place)
    assert project.runpytest_subprocess(*CLOSED, f"--mlps-results-dir={results}").ret == -9
    monkeypatch.delenv("KILL")
    trained(project)
    before = metadata_in(results)
    files = {leaf: finished_files(leaf) for leaf in leaves_in(results)}
    assert sum(bool(found) for found in files.values()) == finished
    went_on = resume(project, results, before[-1]["mlpstorage"]["run_id"])
    went_on.assert_outcomes(passed=1)
    assert trained(project) == 6 - finished
    runs = check_complete(results, resumed)
    for leaf, found in files.items():
        assert {name: (leaf / name).read_bytes() for name in found} == found
    assert [one["mlpstorage"]["run_id"] for one in runs][: len(before)] == [
        one["mlpstorage"]["run_id"] for one in before
    ]
    assert "2.1.17" not in rules_violated(project, results)


@pytest.mark.long
def test_a_long_interruption_is_reported_when_it_goes_on_and_at_its_end(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, results: Path
) -> None:
    shorten(project.path, LONG_S)
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace("SIGKILL", "SIGINT"))
    kill(monkeypatch, *IN_A_RUN)
    stopped = project.runpytest_subprocess(*CLOSED, f"--mlps-results-dir={results}")
    assert stopped.ret == pytest.ExitCode.INTERRUPTED
    first, *_, last = metadata_in(results)
    assert {one["mlpstorage"]["status"] for one in (first, last)} == {"interrupted"}
    time.sleep(6 * LONG_S)
    monkeypatch.delenv("KILL")
    went_on = resume(project, results, first["mlpstorage"]["run_id"])
    went_on.assert_outcomes(passed=1)
    session_id = first["mlpstorage"]["session_id"]
    went_on.stdout.fnmatch_lines(
        [
            f"mlpstorage: session {session_id} goes on: 2 of its runs have ended and are not *",
            "mlpstorage: WARNING: the session was interrupted for * --mlps-history-rerun=*",
            "INVALID because it was interrupted for * s; allowed: less than the * s *",
        ]
    )
    runs = check_complete(results, 2)
    assert [len(reasons_of(one)) for one in runs] == [0, 0, 1, 1, 0, 0]
    parts = [part["status"] for part in runs[2]["mlpstorage"]["resumed"]["parts"]]
    assert parts == ["interrupted", "passed"]
    assert "2.1.18" in rules_violated(project, results)


@pytest.mark.failure_matrix
def test_session_is_interrupted_again_and_again(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, results: Path
) -> None:
    kill(monkeypatch, *IN_A_RUN)
    project.runpytest_subprocess(*CLOSED, f"--mlps-results-dir={results}")
    kill(monkeypatch, ENGINE, "TrainingEngine.run_trial", 2)
    assert resume(project, results, "latest").ret == -9
    assert len(leaves_in(results)) == 4
    monkeypatch.delenv("KILL")
    resume(project, results, "latest").assert_outcomes(passed=1)
    runs = metadata_in(results)
    parts = [
        [part["status"] for part in one["mlpstorage"].get("resumed", {}).get("parts", [])]
        for one in runs
    ]
    assert parts == [[], [], ["died", "passed"], ["died", "passed"], [], []]


@pytest.mark.long
def test_run_that_is_missing_is_not_taken_for_another(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, results: Path
) -> None:
    kill(monkeypatch, *IN_A_RUN)
    project.runpytest_subprocess(*CLOSED, f"--mlps-results-dir={results}")
    monkeypatch.delenv("KILL")
    first = metadata_in(results)[0]["mlpstorage"]["run_id"]
    project.runpytest_subprocess(f"--mlps-results-dir={results}", f"--mlps-history-rm={first}")
    refused = resume(project, results, "latest")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    shown = refused.stdout.str() + refused.stderr.str()
    assert "place in the session: 2 then, 1 now" in " ".join(shown.split())


@pytest.mark.long
@pytest.mark.launches_mpi
@pytest.mark.parametrize("rank", ["1"])
def test_ranks_go_on_with_the_runs_that_are_missing(
    project: pytest.Pytester,
    run_ranks: RunRanks,
    monkeypatch: pytest.MonkeyPatch,
    results: Path,
    rank: str,
) -> None:
    kill(monkeypatch, *IN_A_RUN, rank=rank)
    assert run_ranks(2, *CLOSED, f"--mlps-results-dir={results}").ret != 0
    monkeypatch.delenv("KILL")
    for number in range(2):
        trained(project, number)
    resume(project, results, "latest").assert_outcomes(passed=1)
    assert [trained(project, number) for number in range(2)] == [4, 4]
    assert {one["num_processes"] for one in check_complete(results, 2)} == {2}


@pytest.mark.long
def test_types_of_a_session_go_on_one_after_the_other(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, results: Path
) -> None:
    closed.shorten(project)
    project.makepyfile(test_both=f"def test_cache(kvcache): kvcache.run(1)\n{TEST}")
    kill(monkeypatch, *IN_A_RUN)
    options = ("-p", "shortened", *CLOSED, f"--mlps-results-dir={results}", "test_both.py")
    assert project.runpytest_subprocess(*options).ret == -9
    monkeypatch.delenv("KILL")
    (cache,) = results.rglob("kv_cache_*_metadata.json")
    trained(project)
    went_on = resume(project, results, metadata_in(results)[1]["mlpstorage"]["run_id"])
    went_on.assert_outcomes(passed=1, skipped=1)
    assert trained(project) == 4
    runs = check_complete(results, 2)
    of_cache = closed.metadata_of(cache)
    assert of_cache["mlpstorage"]["status"] == "running"
    resume(project, results, of_cache["mlpstorage"]["run_id"]).assert_outcomes(passed=1, skipped=1)
    of_cache = closed.metadata_of(cache)
    assert of_cache["mlpstorage"]["status"] == "passed"
    assert of_cache["mlpstorage"]["session_id"] == runs[0]["mlpstorage"]["session_id"]
    assert trained(project) == 0
