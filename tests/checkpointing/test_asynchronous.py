"""Sessions with asynchronous checkpoints: training goes on while they are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.session.tiny import metadata_of

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]

TEST = "def test_write(checkpointing): checkpointing.run('write')"
OPTIONS = (
    *("--mlps-set=scale=0.00001", "--mlps-set=io_chunk_kib=16", "--mlps-set=asynchronous=true"),
    *("--mlps-set=num_checkpoints_write=2", "--mlps-set=num_checkpoints_read=2"),
    *("--mlps-results-dir=results", "--mlps-cache-dir=cache", "-p", "no:cacheprovider"),
)
SLOW_FLUSHES = """
import os, time
from mlpstorage_bench.storage.files import DataFile

make_durable = DataFile.make_durable

def slow(file, *given):
    if os.environ.get("OMPI_COMM_WORLD_RANK", "{rank}") == "{rank}":
        time.sleep({seconds})
    return make_durable(file, *given)

DataFile.make_durable = slow
"""
"""Makes writing of one rank take longer."""


def project(pytester: pytest.Pytester, *, flush_s: float, rank: int = 0) -> None:
    pytester.makepyfile(TEST)
    pytester.makeconftest(SLOW_FLUSHES.format(seconds=flush_s, rank=rank))


def training(seconds: float) -> str:
    return f"--mlps-set=time_between_checkpoints={seconds}"


def steps(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = metadata_of(pytester)["mlpstorage"]["sequence"]["steps"]
    return found


def trials(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    """Return the metrics of each checkpoint."""
    case = metadata_of(pytester)["mlpstorage"]["cases"]["write"]
    return [trial["metrics"] for trial in case["trials"]]


def results_of_ranks(pytester: pytest.Pytester, trial: int) -> list[dict[str, Any]]:
    """Return each rank's own result of a checkpoint, from 1."""
    folder = Path(metadata_of(pytester)["result_dir"]) / f"case_write/trial_{trial - 1}"
    found = sorted(folder.glob("rank_*/*.json"))
    return [json.loads(path.read_text())["mlpstorage"] for path in found]


@pytest.mark.long
def test_the_next_checkpoint_begins_an_interval_after_the_copy_of_the_one_before(
    pytester: pytest.Pytester,
) -> None:
    project(pytester, flush_s=0.5)
    result = pytester.runpytest_subprocess(*OPTIONS, training(2))
    result.assert_outcomes(passed=1)
    first, trial, pause, second = steps(pytester)
    assert [one["step"] for one in (first, pause)] == ["pause_before_trial"] * 2
    assert (first["overlapped_s"], trial["overlapped_s"], second["overlapped_s"]) == (0, 0, 0)
    assert first["seconds"] >= 2
    written = trials(pytester)
    assert pause["overlapped_s"] >= min(2, written[0]["checkpoint_s"])
    assert pause["seconds"] + pause["overlapped_s"] >= 2
    (own,) = results_of_ranks(pytester, 1)
    assert second["began_at"] >= own["opened_at"] + 1.99
    for one in written:
        late_s = max(0.0, one["checkpoint_s"] - 2)
        assert one["standstill_s"] == pytest.approx(one["snapshot_s"] + late_s)
    result.stdout.fnmatch_lines(
        ["*pause of * s before trial 2 of checkpoints to write, the rest of 2 s that began in *"]
    )


def test_training_waits_for_writing_that_ends_later_and_there_is_no_pause(
    pytester: pytest.Pytester,
) -> None:
    project(pytester, flush_s=0.5)
    result = pytester.runpytest_subprocess(*OPTIONS, training(0.2))
    result.assert_outcomes(passed=1)
    pause = steps(pytester)[2]
    assert (pause["step"], pause["trial"]) == ("pause_before_trial", 2)
    assert pause["overlapped_s"] == 0.2
    for one in trials(pytester):
        assert one["checkpoint_s"] >= 0.5
        assert one["standstill_s"] == pytest.approx(one["snapshot_s"] + one["checkpoint_s"] - 0.2)
    result.stdout.fnmatch_lines(["*pause of 0.2 s before trial 1 of *"])
    result.stdout.no_fnmatch_line("*pause of * before trial 2 of *")


@pytest.mark.long
def test_a_pause_that_was_interrupted_is_full_in_the_run_s_continuation(
    pytester: pytest.Pytester,
) -> None:
    project(pytester, flush_s=0.3)
    path = pytester.path / "conftest.py"
    path.write_text(
        path.read_text()
        + """
from pathlib import Path
from mlpstorage_bench.trial.sequence import StepLog

pause = StepLog.pause

def interrupted_once(log, step, trial, *given, **options):
    if trial == 2 and not Path("interrupted").exists():
        Path("interrupted").touch()
        raise KeyboardInterrupt
    return pause(log, step, trial, *given, **options)

StepLog.pause = interrupted_once
"""
    )
    stopped = pytester.runpytest_subprocess(*OPTIONS, training(1))
    assert stopped.ret == pytest.ExitCode.INTERRUPTED
    run_id = metadata_of(pytester)["mlpstorage"]["run_id"]
    resumed = pytester.runpytest_subprocess("--mlps-results-dir=results", f"--mlps-resume={run_id}")
    resumed.assert_outcomes(passed=1)
    found = steps(pytester)
    assert [(one["step"], one["trial"]) for one in found] == [
        *(("pause_before_trial", 1), ("trial", 1)),
        *(("pause_before_trial", 2), ("trial", 2)),
    ]
    assert found[2]["overlapped_s"] == 0
    assert found[2]["seconds"] >= 1


@pytest.mark.long
@pytest.mark.launches_mpi
def test_ranks_wait_as_long_although_one_has_written_earlier(pytester: pytest.Pytester) -> None:
    project(pytester, flush_s=0.5, rank=1)
    ranks = ("--mlps-num-processes=2", "--mlps-allow-run-as-root")
    pytester.runpytest_subprocess(*OPTIONS, training(2), *ranks)
    assert metadata_of(pytester)["mlpstorage"]["status"] == "passed"
    pauses = [one["sequence"][0] for one in results_of_ranks(pytester, 2)]
    assert [one["step"] for one in pauses] == ["pause_before_trial"] * 2
    passed = {one["overlapped_s"] for one in pauses}
    assert len(passed) == 1
    assert passed.pop() >= min(2, trials(pytester)[0]["checkpoint_s"])
