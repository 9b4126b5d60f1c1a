"""Index update at a session's end: its failure does not fail the session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.history.index import Index
from mlpstorage_bench.history.index_file import INDEX_NAME

TINY = (
    *("--mlps-set=duration=0.3", "--mlps-set=warmup=0", "--mlps-set=entry_scale=0.001"),
    *("--mlps-set=think_time_scale=0.05", "--mlps-set=calibration=0", "--mlps-trials=2"),
    *("--mlps-results-dir=results", "--mlps-cache-dir=cache", "--mlps-tag=nightly"),
)


def test_run_is_in_the_index_with_its_trials_and_equal_runs_are_comparable(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_one(kvcache): kvcache.run(1)")
    for _ in range(2):
        assert pytester.runpytest_subprocess(*TINY).ret == 0
    results = pytester.path / "results"
    with Index(results) as index:
        runs = list(index.runs(RunFilter(tag="nightly")))
        assert [run.status for run in runs] == ["passed", "passed"]
    first, second = runs
    assert first.system_fingerprint == second.system_fingerprint is not None
    assert first.cases[0].workload_fingerprint == second.cases[0].workload_fingerprint is not None
    assert first.cases[0].test == (
        "test_run_is_in_the_index_with_its_trials_and_equal_runs_are_comparable.py::test_one"
    )
    with History(results) as history:
        values = history.values([first.run_id, second.run_id], "1", "read_gib_s")
    assert [sorted(trials) for trials in values.values()] == [[1, 2], [1, 2]]
    for run in runs:
        metadata = json.loads(run.path.read_text())
        for trial, value in values[run.run_id].items():
            case = metadata["mlpstorage"]["cases"]["1"]
            assert case["trials"][trial - 1]["metrics"]["read_gib_s"] == value


def test_index_that_cannot_be_written_gives_a_remark_and_no_failure(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_one(mlps_run): pass")
    pytester.mkdir("results")
    Path("results", INDEX_NAME).mkdir()
    result = pytester.runpytest_subprocess(*TINY)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["the history's index was not written (.mlps-history.sqlite is no regular file*"]
    )
    result = pytester.runpytest_subprocess("--mlps-results-dir=results", "--mlps-history")
    assert result.ret == 0
    assert sum(" passed" in line for line in result.outlines) == 1
    result.stderr.fnmatch_lines(["mlpstorage: the index * cannot be used: unable to open*"])


def test_tag_that_is_not_a_name_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(mlps_run): pass")
    result = pytester.runpytest_subprocess("--mlps-tag=before upgrade")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--mlps-tag: got 'before upgrade'; accepted: letters*"])
