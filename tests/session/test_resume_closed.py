"""A closed run that was interrupted in a pause or a trial keeps all its pauses when it goes on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.session.closed import (
    CLOSED,
    check_sequence,
    metadata_in,
    results_on_another_filesystem,
    shorten,
)
from tests.session.killed_runs import AS_ROOT, CONFTEST, finished_files, in_matrix, kill, leaf

results = pytest.fixture(results_on_another_filesystem)
STEPS = "mlpstorage_bench.trial.sequence"
POINTS: Mapping[str, tuple[str, int, int]] = {
    "before the first trial": ("pause_before_trial", 1, 0),
    "before a trial": ("pause_before_trial", 2, 1),
    "in a trial": ("'trial'", 2, 1),
    "after a trial": ("pause_after_trial", 1, 1),
    "after the last trial of a workload": ("pause_after_trial", 3, 3),
    "between workloads": ("pause_between_options", 1, 3),
    "before the first trial of a workload": ("pause_before_trial", 4, 3),
    "in the first trial of a workload": ("'trial'", 4, 3),
    "after the first trial of a workload": ("pause_after_trial", 4, 4),
    "after the last trial": ("pause_after_trial", 9, 9),
}
"""The step in which the run is killed, its number among such steps, and finished trials."""
IN_EACH_TEST_RUN = ("after the last trial of a workload",)
ON_TWO_RANKS = ("in a trial", "after the last trial of a workload", "between workloads")
TWO_RANKS = ("--mlps-num-processes=2", "--mlps-oversubscribe", *AS_ROOT)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a shortened closed run."""
    shorten(pytester)
    pytester.makeconftest(CONFTEST)
    return pytester


def check_that_only_the_shortening_counts_against(metadata: dict[str, Any]) -> None:
    """Check that the run is valid but for what the tests have shortened."""
    reasons = metadata["mlpstorage"]["not_valid_because"]
    assert all("differs from the sanctioned workload" in reason for reason in reasons), reasons


def check_resumption(
    project: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    results: Path,
    point: str,
    ranks: Sequence[str] = (),
) -> None:
    """Kill a run in a step; check that its continuation has each step in full, and is valid."""
    step, number, finished = POINTS[point]
    killed_rank = str(1 if ranks else 0)
    kill(monkeypatch, STEPS, "StepLog.record", number, step, killed_rank)
    options = (*CLOSED, f"--mlps-results-dir={results}", *ranks)
    assert project.runpytest_subprocess(*options).ret != 0
    files = finished_files(leaf(results))
    assert len(files) == finished * (2 if ranks else 1)
    monkeypatch.delenv("KILL")
    run_id = metadata_in(results)["mlpstorage"]["run_id"]
    resumed = project.runpytest_subprocess(
        f"--mlps-results-dir={results}", f"--mlps-resume={run_id}"
    )
    resumed.assert_outcomes(passed=3)
    metadata = metadata_in(results)
    check_sequence(metadata, begins_anew=finished)
    check_that_only_the_shortening_counts_against(metadata)
    assert {name: (leaf(results) / name).read_bytes() for name in files} == files


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("point", in_matrix(POINTS, IN_EACH_TEST_RUN))
def test_run_that_was_killed_in_a_step_has_each_pause_in_full(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, results: Path, point: str
) -> None:
    check_resumption(project, monkeypatch, results, point)


@pytest.mark.launches_mpi
@pytest.mark.failure_matrix
@pytest.mark.parametrize("point", ON_TWO_RANKS)
def test_ranks_that_were_killed_in_a_step_have_each_pause_in_full(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, results: Path, point: str
) -> None:
    check_resumption(project, monkeypatch, results, point, TWO_RANKS)


@pytest.mark.slow
@pytest.mark.failure_matrix
def test_pause_that_ctrl_c_ended_is_waited_again_as_often_as_it_is_interrupted(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, results: Path
) -> None:
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace("SIGKILL", "SIGINT"))
    kill(monkeypatch, STEPS, "StepLog.record", 3, "pause_after_trial")
    stopped = project.runpytest_subprocess(*CLOSED, f"--mlps-results-dir={results}")
    assert stopped.ret == pytest.ExitCode.INTERRUPTED
    run_id = metadata_in(results)["mlpstorage"]["run_id"]
    again = (f"--mlps-results-dir={results}", f"--mlps-resume={run_id}")
    kill(monkeypatch, STEPS, "StepLog.record", 1, "pause_after_trial")
    assert project.runpytest_subprocess(*again).ret == pytest.ExitCode.INTERRUPTED
    monkeypatch.delenv("KILL")
    resumed = project.runpytest_subprocess(*again)
    resumed.assert_outcomes(passed=3)
    resumed.stdout.fnmatch_lines(["mlpstorage: pause of 0.15 s after trial 3 of workload 1, *"])
    metadata = metadata_in(results)
    check_sequence(metadata, begins_anew=3)
    check_that_only_the_shortening_counts_against(metadata)
    validated = project.runpytest_subprocess(f"--mlps-validate={results}")
    validated.stdout.re_match_lines([r"warning +X-wall .*resumed.*"])
    judged = re.findall(r"^violated +(\S+)", validated.stdout.str(), re.MULTILINE)
    assert {"6.3.1.1", "6.3.2.1"} <= set(judged)
