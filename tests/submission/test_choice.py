"""Runs of a submission: chosen by filters and ids, with a place in a results tree."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.submission.choice import Choice, RunId, choose
from tests.past_runs import leave_run


def chosen(results: Path, wanted: RunFilter | None = None, *run_ids: str) -> Choice:
    with History(results) as history:
        ids = [RunId("--mlps-submission-run", run_id) for run_id in run_ids]
        return choose(history, wanted or RunFilter(), ids)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results directory with three runs, the last of which failed."""
    for number in range(2):
        leave_run(tmp_path / "results", number)
    leave_run(tmp_path / "results", 2, status="failed")
    return tmp_path / "results"


def test_filters_select_runs(results: Path) -> None:
    assert len(chosen(results).runs) == 3
    (run,) = chosen(results, RunFilter(last=1, status="passed")).runs
    assert run.place.parts[:5] == ("open", "local", "results", "system", "kv_cache")
    assert run.top == results


def test_run_that_did_not_pass_is_named(results: Path) -> None:
    assert [remark for remark in chosen(results).remarks if "failed: its figures" in remark]


def test_ids_select_among_the_runs_of_the_filters(results: Path) -> None:
    first = chosen(results).runs[0].run.run_id
    (run,) = chosen(results, None, first[:15]).runs
    assert run.run.run_id == first
    with pytest.raises(InvalidInputError, match="accepted: a run that the filters select"):
        chosen(results, RunFilter(last=1), first)


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no run"):
        chosen(tmp_path)


def test_run_of_whatif_or_without_a_place_is_left_out(results: Path) -> None:
    shutil.move(results / "open", results / "whatif")
    with pytest.raises(InvalidInputError, match="whatif are never handed in"):
        chosen(results)
    shutil.move(results / "whatif", results / "somewhere")
    with pytest.raises(InvalidInputError, match="no directory of a run in a results tree"):
        chosen(results)


def test_running_run_is_left_out_or_refused(results: Path) -> None:
    own = {"process_id": os.getpid()}
    leave_run(results, 3, status="running", hosts=["elsewhere"], own=own)
    choice = chosen(results)
    assert len(choice.runs) == 3
    (remark,) = [remark for remark in choice.remarks if "it is running" in remark]
    with pytest.raises(InvalidInputError, match="it is running"):
        chosen(results, None, remark.split()[2].rstrip(":"))


def test_two_runs_of_one_place_are_refused(results: Path) -> None:
    shutil.copytree(results / "open", results / "copy" / "open")
    with pytest.raises(InvalidInputError, match="one run for each place"):
        chosen(results)
