"""The gate judges each of the runs of a session by its own earlier runs."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.conftest import RunRanks
from tests.session.two_types import BOTH as BOTH_TYPES
from tests.session.two_types import runs_in, statuses_in, two_types
from tests.variants import first_of

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
            "collecting: 1 of 5 baseline runs, including this run; only 2 trials; *: case 1",
            "*= mlpstorage gate of copy_files, plain =*",
            "collecting: 1 of 5 baseline runs, including this run; only 2 trials; *: case copy",
            "kv_cache, llama3.1-8b: gate passed with a warning: *",
            "copy_files, plain: gate passed with a warning: 1 collecting",
            "gate passed with a warning: kv_cache, llama3.1-8b; copy_files, plain",
        ]
    )
    first.stdout.no_fnmatch_line("*judges nothing*")
    for name in ("kv_cache-llama3.1-8b", "copy_files-plain"):
        assert "collecting" in (project.path / f"gate-{name}.md").read_text()
        first.stdout.fnmatch_lines([f"gate report: *gate-{name}.md"])
    earlier = {name: run["mlpstorage"]["run_id"] for name, run in runs_in(project).items()}

    limits = ("--mlps-gate-rule=copy/read_gib_s: >= 1e9 GiB/s",)
    second = project.runpytest_subprocess(*BOTH, *limits)
    assert second.ret == pytest.ExitCode.TESTS_FAILED
    second.stdout.fnmatch_lines(
        [
            "kv_cache, llama3.1-8b: gate passed with a warning: *",
            "copy_files, plain: gate FAILED: regressed: copy read_gib_s: *",
            "gate FAILED: copy_files, plain: regressed: *; passed: kv_cache, llama3.1-8b",
        ]
    )
    second.stdout.no_fnmatch_line("*judges nothing*")
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


@pytest.mark.long
def test_rule_of_a_case_that_no_run_has_is_named_by_each(project: pytest.Pytester) -> None:
    rule = "--mlps-gate-rule=cpoy/read_gib_s: -5%"
    result = project.runpytest_subprocess(*BOTH, rule, "--mlps-gate-undecided=fail")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        [
            f"error: --mlps-gate-rule 'cpoy/read_gib_s: -5%' judges nothing: "
            f"no case cpoy has run; cases of this run: {cases}"
            for cases in ("1", "copy")
        ]
    )
    assert statuses_in(project) == {"kv_cache": ("failed", 4), "copy_files": ("failed", 4)}


NIGHTS = 6
TYPES = {"copy_files": "copy read_gib_s", "kv_cache": "1 read_gib_s"}
"""Benchmark type → the figure that has regressed."""


def repeat(project: pytest.Pytester, factors: Mapping[str, float]) -> None:
    """Write the run of each type as so many nights, with its bandwidths multiplied by a factor."""
    for path in sorted((project.path / "results").rglob("*_metadata.json")):
        content = json.loads(path.read_text())
        own, name = content["mlpstorage"], content["benchmark_type"]
        for case in own["cases"].values():
            for trial in case["trials"]:
                for metric in ("read_gib_s", "write_gib_s"):
                    trial["metrics"][metric] *= factors[name]
        for night in range(1, NIGHTS + 1):
            own["run_id"] = f"{name}-{night}"
            own["start_datetime"] = f"2026-01-{night:02d}T00:00:00+00:00"
            stamp = f"2026010{night}_000000"
            folder = path.parent.with_name(stamp)
            folder.mkdir()
            (folder / f"{name}_{stamp}_metadata.json").write_text(json.dumps(content))
        path.unlink()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.launches_mpi
@pytest.mark.parametrize("worse", first_of(*TYPES))
def test_loss_of_one_type_fails_the_ranks_and_leaves_the_other_s_verdict(
    project: pytest.Pytester, run_ranks: RunRanks, worse: str
) -> None:
    options = (*BOTH, "--mlps-trials=3")
    assert run_ranks(2, *options).ret == 0
    repeat(project, {name: 1000.0 if name == worse else 1e-3 for name in TYPES})
    result = run_ranks(2, *options, "--mlps-gate-report=gate.json", "--junitxml=junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    titles = {"kv_cache": "kv_cache, llama3.1-8b", "copy_files": "copy_files, plain"}
    (better,) = TYPES.keys() - {worse}
    result.stdout.re_match_lines_random(
        [
            rf"{titles[worse]}: gate FAILED: regressed: {TYPES[worse]} .*",
            rf"{titles[better]}: gate passed.*",
        ]
    )
    expected = {worse: ("failed", 1), better: ("passed", 0)}
    own = {run["benchmark_type"]: run["mlpstorage"] for run in runs_in(project).values()}
    assert {name: (run["status"], run["exit_status"]) for name, run in own.items()} == expected
    assert own[worse]["gate"]["verdict"] == "regressed"
    assert own[better]["gate"]["verdict"] == "improved"
    for name, run in own.items():
        against = {one for verdict in run["verdicts"] for one in verdict["baseline_runs"]}
        assert against == {f"{name}-{night}" for night in range(1, NIGHTS + 1)}
        report = project.path / f"gate-{titles[name].replace(', ', '-')}.json"
        assert json.loads(report.read_text())["verdict"] == run["gate"]["verdict"]
