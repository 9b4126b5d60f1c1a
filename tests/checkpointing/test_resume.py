"""Sessions with checkpoints that were interrupted and go on: what is kept, and what is said."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlpstorage_bench.process.removal import MANIFEST
from tests.session.killed_runs import CONFTEST, in_matrix, kill
from tests.session.tiny import metadata_of

pytestmark = pytest.mark.starts_process

TINY = (
    *("--mlps-set=scale=0.00001", "--mlps-set=io_chunk_kib=16"),
    *("--mlps-set=num_checkpoints_write=2", "--mlps-set=num_checkpoints_read=2"),
    *("--mlps-results-dir=results", "--mlps-cache-dir=cache"),
)
TESTS = """
    def test_checkpoint(checkpointing, checkpointing_kind):
        checkpointing.run(checkpointing_kind)
"""
RUNNER = "mlpstorage_bench.checkpointing.runner"
POINTS: Mapping[str, tuple[str, str, int] | tuple[str, str, int, str]] = {
    "while it is written": ("mlpstorage_bench.storage.entry_files", "EntryFile.make_durable", 2),
    "before it is listed": (f"{RUNNER}.left_checkpoints", "LeftCheckpoints.list_written", 3),
    "while it is listed": ("pathlib", "Path.replace", 2, MANIFEST),
    "before its trial is kept": ("mlpstorage_bench.results.kept_trials", "KeptTrials.keep", 2),
    "after the last one": ("mlpstorage_bench.session.run", "Run.finish", 1),
}
"""Moments at which a run is killed, most of them in its second checkpoint, and the calls there."""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    pytester.makepyfile(TESTS)
    pytester.makeconftest(CONFTEST)
    monkeypatch.setenv("PYTEST_ADDOPTS", f"{os.environ['PYTEST_ADDOPTS']} -p no:cacheprovider")
    return pytester


def kill_at(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, point: str, *options: str
) -> None:
    """Run until a rank is killed there."""
    kill(monkeypatch, *POINTS[point])
    assert project.runpytest_subprocess(*TINY, *options).ret == -signal.SIGKILL
    monkeypatch.delenv("KILL")


def resume(project: pytest.Pytester) -> pytest.RunResult:
    run_id = metadata_of(project)["mlpstorage"]["run_id"]
    result = project.runpytest_subprocess("--mlps-results-dir=results", f"--mlps-resume={run_id}")
    assert result.ret == 0
    return result


def directory(project: pytest.Pytester, rank: int = 0) -> Path:
    return project.path / "cache" / f"checkpoint_rank_{rank}"


def listed(project: pytest.Pytester, rank: int = 0) -> list[str]:
    return [*json.loads((directory(project, rank) / MANIFEST).read_text())["checkpoints"]]


def inode_of_the_first(project: pytest.Pytester) -> int:
    (path,) = (directory(project) / "01").iterdir()
    return path.stat().st_ino


@pytest.mark.slow
@pytest.mark.parametrize("point", in_matrix(POINTS, ["while it is written"]))
def test_a_killed_write_phase_goes_on_with_its_checkpoints(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    kill_at(project, monkeypatch, point, "--mlps-set=phase=write")
    before = inode_of_the_first(project)
    result = resume(project)
    result.stdout.no_fnmatch_line("*WARNING*")
    assert inode_of_the_first(project) == before
    assert {path.name for path in directory(project).iterdir()} == {".claim", "01", "02", MANIFEST}
    assert listed(project) == ["1", "2"]
    own = metadata_of(project)["mlpstorage"]
    assert [trial["trial"] for trial in own["cases"]["write"]["trials"]] == [1, 2]


@pytest.mark.long
@pytest.mark.slow
def test_a_write_phase_that_goes_on_says_what_was_lost_before_it_measures(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_at(project, monkeypatch, "while it is written", "--mlps-set=phase=write")
    (directory(project) / MANIFEST).unlink()
    result = resume(project)
    result.stdout.fnmatch_lines(
        [
            "mlpstorage: WARNING: lost checkpoints of this run: 1 (*does not exist*unmeasured*",
            "note: *checkpoints of unmeasured writes: 1.*",
        ]
    )
    assert listed(project) == ["1", "2"]
    project.runpytest(*TINY, "--mlps-set=phase=read").assert_outcomes(passed=1)


@pytest.mark.long
@pytest.mark.slow
def test_both_phases_that_go_on_say_what_is_written_again_before_reads(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_at(project, monkeypatch, "while it is written")
    result = resume(project)
    result.stdout.fnmatch_lines(
        [
            "mlpstorage: WARNING: checkpoints that are not there: 1 (an interrupted run keeps *",
            "note: checkpoints were written once more before they were read, unmeasured*",
        ]
    )


@pytest.mark.launches_mpi
@pytest.mark.long
@pytest.mark.slow
def test_ranks_go_on_together_after_one_has_listed_more(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(monkeypatch, *POINTS["before it is listed"][:3], rank="1")
    ranks = ("--mlps-num-processes=2", "--mlps-allow-run-as-root")
    assert project.runpytest_subprocess(*TINY, *ranks, "--mlps-set=phase=write").ret != 0
    monkeypatch.delenv("KILL")
    before = inode_of_the_first(project)
    resume(project).stdout.no_fnmatch_line("*WARNING*")
    assert inode_of_the_first(project) == before
    assert listed(project) == listed(project, rank=1) == ["1", "2"]
    project.runpytest_subprocess(*TINY, *ranks, "--mlps-set=phase=read")
    assert not directory(project).exists()
    assert not directory(project, rank=1).exists()
