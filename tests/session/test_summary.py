"""The end of a session: tables in the order of the run, what follows, and the next commands."""

from __future__ import annotations

import pytest

from tests.session.tiny import TINY

PYARGS = ("--pyargs", "-p", "no:randomly", "-p", "no:cacheprovider")


@pytest.mark.slow
def test_tables_have_the_order_of_the_run_and_the_users_columns(pytester: pytest.Pytester) -> None:
    cases = [f"mlpstorage_bench.benchmarks.test_kvcache::test_workload[{n}]" for n in (3, 1)]
    options = (*TINY, "--mlps-trials=1", "--benchmark-columns=ops", "--mlps-cache-dir=cache")
    result = pytester.runpytest(*PYARGS, *cases, *options)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            *("Name*OPS*", "test_workload?3?*", "test_workload?1?*"),
            *("storage: *, direct I/O", "case  trials*", "3 *", "1 *"),
            *("run *, passed: *", "report: pytest *--mlps-history=*", "again:  pytest *-rerun=*"),
        ],
    )
    assert not any("Mean" in line and "Name" in line for line in result.outlines)
    report = next(line for line in result.outlines if line.startswith("report: pytest "))
    arguments = report.removeprefix("report: pytest ").replace("report.html", "report.md").split()
    pytester.runpytest(*arguments).stdout.fnmatch_lines(["report: *report.md"])
    assert "kv_cache run" in (pytester.path / "report.md").read_text()
    latest = pytester.runpytest("--mlps-results-dir=results", "--mlps-history=latest")
    latest.stdout.fnmatch_lines(["run *: passed*"])
