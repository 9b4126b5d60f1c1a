"""`--mlps-export` after a run and for an earlier one, and figures in junit files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.session.tiny import TINY, metadata_of

EXPORTS = ("--mlps-export=prometheus:run.prom", "--mlps-export=csv:run.csv")


@pytest.mark.slow
def test_session_and_history_export_the_figures_of_the_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest_subprocess(*TINY, *EXPORTS, "--junitxml=junit.xml")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["export: */run.prom", "export: */run.csv"])
    written = Path("run.prom").read_text()
    found = {one.name: one for one in text_string_to_metric_families(written)}
    figures = metadata_of(pytester)["mlpstorage"]["metrics"]["1"]
    p95 = found["mlpstorage_read_p95_seconds"]
    assert p95.samples[0].value == pytest.approx(figures["read_p95_ms"] / 1000)
    assert p95.documentation.startswith("Reads of whole entries from storage")

    (case,) = ET.parse("junit.xml").iter("testcase")  # noqa: S314 - pytest wrote it
    properties = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert properties["mlpstorage.1.read_gib_s"] == str(figures["read_gib_s"])
    assert properties["mlpstorage.1.limited_by"] == figures["limited_by"]

    again = pytester.runpytest_subprocess(
        "--mlps-results-dir=results", "--mlps-history=latest", EXPORTS[0]
    )
    assert again.ret == 0
    assert Path("run.prom").read_text() == written


def test_history_of_all_runs_is_not_exported(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("--mlps-history", EXPORTS[1])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--mlps-export: got 'csv:run.csv'; accepted: one run, which*"])


@pytest.mark.slow
def test_file_that_cannot_be_written_loses_no_other(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        def pytest_mlps_result(metadata):
            print("result hook: " + metadata["mlpstorage"]["status"])
        """
    )
    pytester.makepyfile(
        """
        from pathlib import Path

        def test_it(mlps_run):
            Path("gone").rmdir()
            Path("gone").write_text("no directory any more")
        """
    )
    Path("gone").mkdir()
    result = pytester.runpytest_inprocess(
        *("--mlps-report=gone/a.md", "--mlps-report=b.md", "--mlps-export=json:gone/c.json"),
        *("--mlps-export=csv:d.csv", "--mlps-results-dir=results", "--mlps-cache-dir=cache"),
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines_random(
        ["*--mlps-report: got '*gone/a.md'*", "*--mlps-export: got '*gone/c.json'*"]
    )
    result.stdout.fnmatch_lines_random(["report: */b.md", "export: */d.csv", "*result hook: *"])
    assert Path("d.csv").read_text().startswith("run,")
