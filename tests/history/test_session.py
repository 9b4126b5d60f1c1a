"""Index update at a session's end: its failure does not fail the session."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.history.index import Index
from mlpstorage_bench.history.index_file import INDEX_NAME
from tests.past_runs import OURS, leave

TINY = (
    *("--mlps-set=duration=60", "--mlps-set=requests=20", "--mlps-set=warmup=0"),
    "--mlps-set=entry_scale=0.001",
    *("--mlps-set=think_time_scale=0.05", "--mlps-set=calibration=0", "--mlps-trials=2"),
    *("--mlps-results-dir=results", "--mlps-cache-dir=cache", "--mlps-tag=nightly"),
)


@pytest.mark.long
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


@pytest.mark.long
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
    result.stderr.fnmatch_lines(
        ["mlpstorage: the index * cannot be used: .mlps-history.sqlite is no regular file*"]
    )


@pytest.mark.long
def test_gate_and_report_of_a_session_pass_in_a_directory_where_anything_lies(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_one(kvcache): kvcache.run(1)")
    results = pytester.mkdir("results")
    leave_anything(results)
    result = pytester.runpytest_subprocess(*TINY, "--mlps-gate", "--mlps-report=report.md")
    assert result.ret == 0
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    result.stdout.fnmatch_lines(["*a_metadata.json: Too many levels of symbolic links*"])
    (path,) = results.rglob("kv_cache_*_metadata.json")
    assert json.loads(path.read_text())["mlpstorage"]["status"] == "passed"
    assert (pytester.path / "report.md").exists()
    judged = pytester.runpytest_subprocess(
        "--mlps-results-dir=results", f"--mlps-gate={path.parent.name}"
    )
    assert judged.ret == 0
    assert "Traceback" not in judged.stdout.str() + judged.stderr.str()


def leave_anything(results: Path) -> None:
    """Leave files that are no runs, or are only said to be."""
    (results / "a_metadata.json").symlink_to("a_metadata.json")
    os.mkfifo(results / "b_metadata.json")
    leave(results / "c", "c", {**OURS, "num_processes": 10**30})
    leave(results / "d", "d", {**OURS, "mlpstorage": {"notes": 5}})
    leave(results / "e", "e", "[" * 100_000)
    leave(results / "f", "f", json.dumps({**OURS, "benchmark_type": "x"}).replace("1.5", "NaN"))
    os.mkdir(os.path.join(os.fsencode(results), b"caf\xe9"))  # noqa: PTH102, PTH118 - bytes


def test_tag_that_is_not_a_name_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(mlps_run): pass")
    result = pytester.runpytest_subprocess("--mlps-tag=before upgrade")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--mlps-tag: got 'before upgrade'; accepted: letters*"])
