"""`pytest --mlps-history`: prints, exits 0, collects nothing, imports no conftest."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

RUN = {
    "benchmark_type": "kv_cache",
    "model": "llama3.1-8b",
    "command": "run",
    "run_datetime": "2026-11-23T10:00:00+00:00",
    "num_processes": 8,
    "hosts": ["h1", "h2"],
    "parameters": {},
    "status": "passed",
    "metrics": {"1": {"read_gib_s": 1.5, "write_gib_s": 0.5, "read_p95_ms": 12.34}},
}


@pytest.fixture
def results(pytester: pytest.Pytester) -> str:
    folder = pytester.mkdir("results")
    (folder / "kv_cache_20261123_100000_metadata.json").write_text(json.dumps(RUN))
    return "--mlps-results-dir=results"


def test_every_column_is_shown_whole(pytester: pytest.Pytester, results: str) -> None:
    result = pytester.runpytest_subprocess("--mlps-history", results)
    assert result.ret == 0
    line = next(line for line in result.outlines if "20261123_100000" in line)
    assert line.split()[0] == "20261123_100000"
    assert line.split()[3:] == [
        *("kv_cache", "llama3.1-8b", "run", "-", "8", "x", "2", "passed", "1.50", "0.50", "12.3")
    ]


def test_neither_conftests_nor_tests_are_touched(pytester: pytest.Pytester, results: str) -> None:
    pytester.makeconftest("raise RuntimeError('conftest was imported')")
    pytester.makepyfile("raise RuntimeError('a test file was imported')")
    result = pytester.runpytest_subprocess("--mlps-history", results)
    assert result.ret == 0
    assert "was imported" not in result.stdout.str() + result.stderr.str()


def test_broken_files_are_named_on_standard_error(pytester: pytest.Pytester, results: str) -> None:
    (pytester.path / "results" / "x_metadata.json").write_text("{")
    result = pytester.runpytest_subprocess("--mlps-history", results)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*20261123_100000*"])
    result.stderr.fnmatch_lines(["mlpstorage: skipped */x_metadata.json: no JSON*"])


def test_no_runs_are_said_to_be_none(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--mlps-history")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["No runs in */mlps-results"])


def test_a_misspelt_option_is_refused(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--mlps-history", "--mlps-resutls-dir=x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unrecognized argument: --mlps-resutls-dir=x"])


@pytest.mark.launches_mpi
def test_under_mpirun_the_list_comes_once(
    results: str, run_ranks: Callable[..., pytest.RunResult]
) -> None:
    result = run_ranks(3, "--mlps-history", results)
    assert result.ret == 0
    assert result.stdout.str().count("20261123_100000") == 1
