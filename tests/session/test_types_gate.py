"""The gate judges each of the runs of a session by its own earlier runs."""

from __future__ import annotations

import pytest

from tests.session.two_types import BOTH as BOTH_TYPES
from tests.session.two_types import runs_in, statuses_in, two_types

BOTH = (*BOTH_TYPES, "--mlps-gate", "--mlps-gate-disturbed=ignore")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    return two_types(pytester, monkeypatch)


def test_runs_are_judged_by_runs_of_their_type(project: pytest.Pytester) -> None:
    first = project.runpytest_subprocess(*BOTH, "--mlps-gate-report=gate.md")
    assert first.ret == 0
    first.stdout.fnmatch_lines(
        [
            "*= mlpstorage gate of kv_cache, llama3.1-8b =*",
            "collecting: 1 of 5 baseline runs, including this run: case 1",
            "*= mlpstorage gate of copy_files, plain =*",
            "collecting: 1 of 5 baseline runs, including this run: case copy",
            "kv_cache, llama3.1-8b: gate passed: *",
            "copy_files, plain: gate passed: 1 collecting",
        ]
    )
    for name in ("kv_cache-llama3.1-8b", "copy_files-plain"):
        assert "collecting" in (project.path / f"gate-{name}.md").read_text()
        first.stdout.fnmatch_lines([f"gate report: *gate-{name}.md"])
    earlier = {name: run["mlpstorage"]["run_id"] for name, run in runs_in(project).items()}

    limits = ("--mlps-gate-rule=copy/read_gib_s: >= 1e9 GiB/s",)
    second = project.runpytest_subprocess(*BOTH, *limits)
    assert second.ret == pytest.ExitCode.TESTS_FAILED
    second.stdout.fnmatch_lines(
        [
            "kv_cache, llama3.1-8b: gate passed: *",
            "copy_files, plain: gate FAILED: regressed: copy read_gib_s: *",
        ]
    )
    newest = {
        name: run["mlpstorage"]
        for name, run in runs_in(project).items()
        if run["mlpstorage"]["run_id"] not in earlier.values()
    }
    for name, run in newest.items():
        against = {one for verdict in run["verdicts"] for one in verdict["baseline_runs"]}
        assert against == {earlier[name]}, "each by its own"
    assert statuses_in(project) == {"kv_cache": ("passed", 0), "copy_files": ("failed", 1)}


def test_rule_of_a_metric_that_one_type_has_is_for_that_type(project: pytest.Pytester) -> None:
    rule = "--mlps-gate-rule=requests_per_s: >= 1e9 1/s"
    result = project.runpytest_subprocess(*BOTH, rule)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert statuses_in(project) == {"kv_cache": ("failed", 1), "copy_files": ("passed", 0)}


def test_rule_of_a_metric_that_no_type_has_is_refused(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess(*BOTH, "--mlps-gate-rule=speed: -5%")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert str(result.stderr).count("got 'speed: -5%'; accepted: a metric that runs have") == 1
