"""A session with tests of two benchmark types has a run of each."""

from __future__ import annotations

import json

import pytest

from tests.conftest import RunRanks
from tests.session.two_types import (
    BOTH,
    COPY_TEST,
    KV_TEST,
    runs_in,
    statuses_in,
    two_types,
)

KV, COPIES = "kv_cache llama3.1-8b", "copy_files plain"
COPIES_ONLY = ("--mlps-results-dir=results", "--mlps-cache-dir=cache", "-p", "no:cacheprovider")
PASSED = {"kv_cache": ("passed", 0), "copy_files": ("passed", 0)}


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    return two_types(pytester, monkeypatch)


def test_each_type_has_a_run_of_the_session_and_files_of_its_own(project: pytest.Pytester) -> None:
    asked = ("--mlps-report=report.md", "--mlps-export=json:figures.json")
    result = project.runpytest_subprocess(*BOTH, *asked, "--benchmark-json=b.json")
    assert result.ret == 0
    runs = runs_in(project)
    own = {name: run["mlpstorage"] for name, run in runs.items()}
    assert own.keys() == {KV, COPIES}
    assert statuses_in(project) == PASSED
    assert len({one["run_id"] for one in own.values()}) == 2
    (session_id,) = {one["session_id"] for one in own.values()}
    assert len(session_id) == 16
    assert [list(own[name]["metrics"]) for name in (KV, COPIES)] == [["1"], ["copy"]]
    assert own[KV]["settings"]["storage"] == "null"
    assert "storage" not in own[COPIES]["settings"]
    assert {one["settings"]["trials"] for one in own.values()} == {2}
    tests = {name: [test["test"].split("::")[1] for test in own[name]["tests"]] for name in own}
    assert tests == {KV: ["test_kv"], COPIES: ["test_copy"]}
    for run in own.values():
        result.stdout.fnmatch_lines([f"run {run['run_id']}, passed: *"])

    files = {name.replace(" ", "-") for name in own}
    for name in files:
        result.stdout.fnmatch_lines([f"report: *report-{name}.md"])
        result.stdout.fnmatch_lines([f"export: *figures-{name}.json"])
        assert name.split("-")[0] in (project.path / f"report-{name}.md").read_text()
        assert json.loads((project.path / f"figures-{name}.json").read_text())
    assert not (project.path / "report.md").exists()

    listed = project.runpytest_subprocess("--mlps-results-dir=results", "--mlps-history")
    listed.stdout.fnmatch_lines_random(
        [f"{own[name]['run_id']} *{name.replace(' ', ' *')} *passed*" for name in own]
    )
    again = ("--mlps-convert=b.json", "--mlps-results-dir=again")
    converted = project.runpytest_subprocess(*again)
    assert converted.ret == 0
    for name, run in runs_in(project, "again").items():
        assert run["mlpstorage"]["metrics"] == own[name]["metrics"]
        assert run["mlpstorage"]["run_id"] == own[name]["run_id"]
        assert [*run["mlpstorage"]["cases"]] == [*own[name]["cases"]]
    assert runs_in(project, "again").keys() == own.keys()


@pytest.mark.long
def test_fixture_of_one_run_is_that_of_the_test(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_both=KV_TEST
        + COPY_TEST
        + """
def test_unclear(mlps_run): mlps_run.record("one", 1)
def test_copies(copy_files, mlps_run):
    copy_files.run("b")
    assert mlps_run.facts.benchmark_type == "copy_files"
def test_large(copy_files, mlps_run):
    copy_files.run("c", model="large", files=5)
    assert mlps_run.facts.model == "large"
def test_cache(kvcache, mlps_run):
    assert mlps_run.facts.benchmark_type == "kv_cache"
    mlps_run.record("two", 2)
def test_all(mlps_runs):
    names = [run.facts.benchmark_type for run in mlps_runs]
    assert names == ["kv_cache", "copy_files", "copy_files"]
"""
    )
    result = project.runpytest_subprocess(*BOTH)
    result.assert_outcomes(passed=6, failed=1)
    result.stdout.fnmatch_lines(
        ["*mlps_run: this test belongs to several runs: *, copy_files of plain. Use mlps_runs*"]
    )
    before = [line.rpartition(": ")[2] for line in result.outlines if "mlpstorage: note: " in line]
    assert len(before) == len(set(before)) > 0, "a note on all runs is shown once"
    (recorded,) = [run for name, run in runs_in(project).items() if name.startswith("kv_cache")]
    assert recorded["mlpstorage"]["metrics"]["recorded"] == {"two": 2}


@pytest.mark.long
def test_case_of_another_model_has_a_run_of_its_own(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_both="""
def test_plain(copy_files): copy_files.run("a")
def test_large(copy_files): copy_files.run("b", model="large", files=5)
def test_plain_again(copy_files): copy_files.run("c")
def test_large_again(copy_files): copy_files.run("d", model="large", files=5)
"""
    )
    result = project.runpytest_subprocess(*COPIES_ONLY)
    assert result.ret == 0
    runs = {name: run["mlpstorage"] for name, run in runs_in(project).items()}
    cases = {name: [*run["cases"]] for name, run in runs.items()}
    assert cases == {COPIES: ["a", "c"], "copy_files large": ["b", "d"]}
    assert {run["status"] for run in runs.values()} == {"passed"}
    assert len({run["session_id"] for run in runs.values()}) == 1
    plain, large = (runs[name]["notes"] for name in (COPIES, "copy_files large"))
    assert plain == large != [], "all runs have what was found when the type began"


@pytest.mark.long
def test_type_whose_test_fails_leaves_the_other_passed(project: pytest.Pytester) -> None:
    project.makepyfile(test_both=f"{KV_TEST}{COPY_TEST.rstrip()}; assert False\n")
    result = project.runpytest_subprocess(*BOTH)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert statuses_in(project) == {"kv_cache": ("passed", 0), "copy_files": ("failed", 1)}


@pytest.mark.long
def test_test_of_no_type_that_fails_fails_each_run(project: pytest.Pytester) -> None:
    project.makepyfile(test_both=f"{KV_TEST}{COPY_TEST}def test_own(mlps_runs): assert False\n")
    result = project.runpytest_subprocess(*BOTH)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert statuses_in(project) == {"kv_cache": ("failed", 1), "copy_files": ("failed", 1)}


MODELS = """
def test_plain(copy_files): copy_files.run("a")
def test_more(copy_files): copy_files.run("b")
def test_large(copy_files): copy_files.run("c", model="large")
"""


@pytest.mark.long
def test_file_of_another_program_is_kept_from_runs_that_are_known_later(
    project: pytest.Pytester,
) -> None:
    project.makepyfile(test_both=MODELS)
    own = project.path / "report-copy_files-large.md"
    own.write_text("mine")
    asked = ("--mlps-report=report.md", "--benchmark-json=b.json")
    result = project.runpytest_subprocess(*COPIES_ONLY, *asked)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"ERROR: --mlps-report: got '{own}'; *"])
    assert own.read_text() == "mine"
    assert (project.path / "report-copy_files-plain.md").exists()
    project.runpytest_subprocess("--mlps-convert=b.json", "--mlps-results-dir=again")
    cases = {name: [*run["mlpstorage"]["cases"]] for name, run in runs_in(project, "again").items()}
    assert cases == {COPIES: ["a", "b"], "copy_files large": ["c"]}


def test_file_of_another_program_is_refused_before_runs(project: pytest.Pytester) -> None:
    (project.path / "report-copy_files-plain.md").write_text("mine")
    result = project.runpytest_subprocess(*BOTH, "--mlps-report=report.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (project.path / "results").exists()


@pytest.mark.long
def test_interrupt_ends_both_runs(project: pytest.Pytester) -> None:
    project.makepyfile(test_both=f"{KV_TEST}{COPY_TEST.rstrip()}; raise KeyboardInterrupt\n")
    result = project.runpytest_subprocess(*BOTH, "-rs")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    interrupted = ("interrupted", 2)
    assert statuses_in(project) == {"kv_cache": interrupted, "copy_files": interrupted}
    assert not (project.path / "cache").exists()

    run_id = runs_in(project)[KV]["mlpstorage"]["run_id"]
    project.makepyfile(test_both=KV_TEST + COPY_TEST)
    resumed = project.runpytest_subprocess(
        *("--mlps-results-dir=results", f"--mlps-resume={run_id}")
    )
    assert resumed.ret == 0
    resumed.assert_outcomes(passed=1, skipped=1)
    resumed.stdout.fnmatch_lines(["mlpstorage: run * (copy_files, *) is unfinished, too, *"])
    resumed.stdout.fnmatch_lines(
        ["SKIPPED * the run that is continued is of kv_cache, which this test is not"]
    )
    assert statuses_in(project) == {"kv_cache": ("passed", 0), "copy_files": interrupted}


@pytest.mark.long
@pytest.mark.launches_mpi
def test_ranks_have_the_same_two_runs(project: pytest.Pytester, run_ranks: RunRanks) -> None:
    result = run_ranks(2, *BOTH)
    assert result.ret == 0
    assert statuses_in(project) == PASSED
    for run in runs_in(project).values():
        trials = [trial for case in run["mlpstorage"]["cases"].values() for trial in case["trials"]]
        assert [trial["metrics"]["ranks"] for trial in trials] == [2, 2]
    assert not (project.path / "cache").exists()
