"""The gate in whole sessions without storage, whose figures are reproducible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.gate.sessions import (
    NO_LATENCIES,
    REPRODUCIBLE,
    STEADY,
    TEST,
    gate,
    metadata_files,
    newest,
    write_past_runs,
)
from tests.past_runs import REFERENCES, leave
from tests.validation.trees import KV_TIME, Submission
from tests.variants import first_of


def test_unchanged_run_passes(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester)
    result = gate(pytester, "--junitxml=junit.xml")
    assert result.ret == 0
    result.stdout.re_match_lines(
        [
            r"=+ mlpstorage gate =+",
            r"1 +read_gib_s +-10 % .* passed",
            r"gate: \d passed \(against .*",
        ]
    )
    metadata = newest(pytester)
    verdicts = {v["metric"]: v for v in metadata["mlpstorage"]["verdicts"]}
    assert verdicts["read_gib_s"]["verdict"] == "passed"
    assert verdicts["read_gib_s"]["baseline_runs"] == [f"past-{n}" for n in range(10)]
    junit = ET.parse(pytester.path / "junit.xml")  # noqa: S314 - our own file
    properties = junit.iter("property")
    values = {p.get("name"): p.get("value", "") for p in properties}
    assert str(values["mlpstorage.gate.1.read_gib_s"]).startswith("passed: ")
    cases = [(one.get("classname"), one.get("name")) for one in junit.iter("testcase")]
    assert ("mlpstorage.gate.1", "read_gib_s") in cases
    assert result.stdout.lines[-1] == "gate passed: 3 passed"


def test_regressed_run_fails_the_session_and_is_no_baseline(
    pytester: pytest.Pytester,
) -> None:
    write_past_runs(pytester, [2 * factor for factor in STEADY])
    result = gate(pytester, "--junitxml=junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines(
        [r"regressed: 1, read_gib_s: 50 % less bandwidth than the baseline \(.* → .* GiB/s\), .*"]
    )
    assert result.stdout.lines[-1] == (
        "gate FAILED: regressed: 1 read_gib_s 50 % less bandwidth, "
        "1 write_gib_s 50 % less bandwidth"
    )
    suite = ET.parse(pytester.path / "junit.xml").find("testsuite")  # noqa: S314 - our own file
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "2", "0")
    failed = [one.get("name") for one in suite.iter("testcase") if one.find("failure") is not None]
    assert failed == ["read_gib_s", "write_gib_s"]
    assert newest(pytester)["mlpstorage"]["status"] == "failed"
    again = gate(pytester)
    assert again.ret == pytest.ExitCode.TESTS_FAILED
    runs = newest(pytester)["mlpstorage"]["verdicts"][0]["baseline_runs"]
    assert runs == [f"past-{n}" for n in range(10)]


def test_better_run_has_improved(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester, [0.5 * factor for factor in STEADY])
    result = gate(pytester)
    assert result.ret == 0
    result.stdout.re_match_lines(
        [r"improved: 1, read_gib_s: 2.0 x more bandwidth than the baseline .*"]
    )


def test_different_workload_is_refused_with_differences_unless_allowed(
    pytester: pytest.Pytester,
) -> None:
    write_past_runs(pytester)
    refused = gate(pytester, "--mlps-set=duration=3")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stdout.fnmatch_lines(
        [
            "not compared: case 1: no comparable run; the last run with this case, past-9, *",
        ]
    )
    assert "workload.parameters.duration: 3.0 here, 2.0 there" in refused.stdout.str()
    across = gate(pytester, "--mlps-set=duration=3", "--mlps-gate-across")
    assert "not compared" not in across.stdout.str()
    across.stdout.fnmatch_lines(["gate: *; including other workloads and systems)"])


def test_different_system_is_refused_with_differences(pytester: pytest.Pytester) -> None:
    write_past_runs(
        pytester,
        system_fingerprint="other",
        system_fingerprint_parts={"ranks": 1, "hosts": [{"cpu_model": "Z80"}]},
    )
    refused = gate(pytester)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stdout.fnmatch_lines(['*differs: system.hosts*cpu_model: * here, "Z80" there*'])


@pytest.mark.parametrize(("meaning", "status"), first_of(("pass", 0), ("fail", 1)))
def test_undecided_metric_is_reported_and_sets_the_chosen_status(
    pytester: pytest.Pytester, meaning: str, status: int
) -> None:
    write_past_runs(pytester, STEADY[:3])
    result = gate(pytester, f"--mlps-gate-undecided={meaning}", "--mlps-baseline=run:past-1")
    assert result.ret == status
    result.stdout.fnmatch_lines(["undecided: only 1 baseline run; * needs at least 5: case 1"])
    assert ("warning: 3 metrics are undecided" in result.stdout.str()) == (meaning == "pass")


def test_retry_runs_more_trials_until_the_verdict_is_decided(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester)
    result = gate(pytester, "--mlps-trials=1", "--mlps-gate-undecided=retry")
    assert result.ret == 0
    result.stdout.re_match_lines(
        [
            r"mlpstorage: gate: 1 is undecided: 1 more trial, for look 2",
            r"mlpstorage: gate: 1 is undecided: 1 more trial, for look 3",
            r"gate: \d passed \(against .*, look 3 of at most 4\)",
        ]
    )
    metadata = newest(pytester)
    assert len(metadata["mlpstorage"]["cases"]["1"]["trials"]) == 3
    assert metadata["mlpstorage"]["metrics"]["1"]["trials"] == 3
    (timed,) = Path(metadata["result_dir"]).glob("pytest_benchmark_*.json")
    assert json.loads(timed.read_text())["benchmarks"][0]["stats"]["rounds"] == 3


@pytest.mark.long
def test_retry_at_its_bound_passes_with_a_warning(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester, [1.0, 3.0] * 5)
    result = gate(pytester, "--mlps-trials=3", "--mlps-gate-undecided=retry", "--mlps-gate-looks=2")
    assert result.ret == 0
    result.stdout.re_match_lines(
        [r"warning: \d metrics are undecided.*", r"gate passed with a warning: .*\d undecided"]
    )
    assert newest(pytester)["mlpstorage"]["status"] == "passed"


@pytest.mark.long
def test_more_trials_of_the_gate_have_the_time_limit_of_a_test(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester)
    pytester.makeconftest(
        """
        import time
        from mlpstorage_bench.trial.case_trials import CaseTrials

        run_one = CaseTrials.run_one

        def hang(self):
            if self.count:
                time.sleep(600)
            return run_one(self)

        CaseTrials.run_one = hang
        """
    )
    result = pytester.runpytest_subprocess(
        *(
            *REPRODUCIBLE,
            *NO_LATENCIES,
            "--mlps-gate",
            "--mlps-trials=1",
            "--mlps-gate-undecided=retry",
        ),
        *("--mlps-timeout=6", "--mlps-grace=10"),
        timeout=60,
    )
    assert result.ret == 86
    assert "more trials of 1 has taken longer than --mlps-timeout 6 s" in result.stderr.str()
    assert "in hang\n" in result.stderr.str()
    assert newest(pytester)["mlpstorage"]["status"] == "failed"


def test_selftest_compares_one_half_of_the_trials_with_the_other(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_kv=TEST)
    result = pytester.runpytest(
        *REPRODUCIBLE, *NO_LATENCIES, "--mlps-gate-selftest", "--mlps-trials=5"
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(["gate: * passed (against the other half of its own trials)"])
    metadata = newest(pytester)
    assert metadata["mlpstorage"]["metrics"]["1"]["trials"] == 10
    verdicts = metadata["mlpstorage"]["verdicts"]
    assert {len(v["baseline_runs"]) for v in verdicts} == {5}
    assert {v["trials"] for v in verdicts} == {5}


@pytest.mark.long
def test_earlier_run_can_be_judged_without_a_session(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester)
    pytester.runpytest(*REPRODUCIBLE).assert_outcomes(passed=1)
    run_id = newest(pytester)["mlpstorage"]["run_id"]
    alone = pytester.runpytest_subprocess(
        f"--mlps-gate={run_id}",
        "--mlps-results-dir=results",
        "--mlps-gate-report=g.json",
        *NO_LATENCIES,
    )
    assert alone.ret == 0
    assert "test session starts" not in alone.stdout.str()
    alone.stdout.re_match_lines([r"gate: \d passed \(against the last 10 comparable runs\)"])
    report = json.loads((pytester.path / "g.json").read_text())
    assert report["run_id"] == run_id
    worse = pytester.runpytest_subprocess(
        f"--mlps-gate={run_id}",
        "--mlps-results-dir=results",
        "--mlps-gate-rule=read_p95: <= 0 ms",
        "--mlps-gate-rule=requests_per_s: >= 1e9",
    )
    assert worse.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("given", "message"),
    first_of(("nowhere", "the id of a run"), ("test_kv.py", "'test_kv.py' was read as its value")),
)
def test_unknown_run_is_refused_with_a_hint(
    pytester: pytest.Pytester, given: str, message: str
) -> None:
    write_past_runs(pytester)
    result = pytester.runpytest_subprocess(f"--mlps-gate={given}", "--mlps-results-dir=results")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()


@pytest.mark.parametrize("baseline", first_of("tag:nightly", "branch:main", "last:6"))
def test_baseline_is_selected_by_tag_branch_or_number(
    pytester: pytest.Pytester, baseline: str
) -> None:
    write_past_runs(
        pytester, STEADY[:7], tags=["nightly"], commit_info={"id": "c0ffee", "branch": "main"}
    )
    result = gate(pytester, f"--mlps-baseline={baseline}")
    assert result.ret == 0
    runs = newest(pytester)["mlpstorage"]["verdicts"][0]["baseline_runs"]
    assert runs == [f"past-{n}" for n in range(7)][-6 if baseline == "last:6" else 0 :]


@pytest.mark.parametrize("kind", first_of("run", "file"))
def test_baseline_can_be_one_named_run(pytester: pytest.Pytester, kind: str) -> None:
    write_past_runs(pytester, STEADY[:2])
    named = "past-1" if kind == "run" else str(metadata_files(pytester)[1])
    gate(pytester, f"--mlps-baseline={kind}:{named}")
    assert newest(pytester)["mlpstorage"]["verdicts"][0]["baseline_runs"] == ["past-1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mlps-gate-rule=read_gibs: -5%"], "Did you mean"),
        (["--mlps-baseline=yesterday"], "last, last:N, tag:NAME"),
        (["--mlps-baseline=last:0"], "N from 1"),
        (["--mlps-gate-report=verdicts.txt"], "a file name in .json or .md"),
        (["--mlps-gate-report=/proc/verdicts.json"], "No file can be made in /proc"),
        (["--mlps-gate-report=no/verdicts.json"], "no is no directory"),
        (["--mlps-report=/proc/report.md"], "No file can be made in /proc"),
        (
            ["--mlps-baseline=run:NOSUCH"],
            "--mlps-baseline: got 'NOSUCH'; accepted: the id of a run",
        ),
        (["--mlps-baseline=tag:nightly"], "a tag of an earlier run, or of this run"),
        (["--mlps-baseline=branch:nowhere"], "a branch of an earlier run, or of this run"),
        (["--mlps-baseline=file:missing.json"], "No such file"),
        (["--mlps-baseline=file:test_kv.py"], "the *_metadata.json of a run"),
        (["--mlps-baseline=run:NOSUCH", "--mlps-results-dir=test_kv.py"], "the id of a run"),
    ],
)
def test_invalid_gate_option_is_refused_before_any_test(
    pytester: pytest.Pytester, arguments: list[str], message: str
) -> None:
    pytester.makepyfile(test_kv="def test_run(kvcache): raise AssertionError")
    result = gate(pytester, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()
    assert not (pytester.path / "results").exists()


@pytest.mark.parametrize(
    ("baseline", "message"),
    first_of(
        ("tag:nightyl", "Did you mean 'nightly'?"),
        ("tag:weekly", "Earlier runs have: nightly"),
        ("branch:mian", "Did you mean 'main'?"),
        ("run:past-11", "Near: past-1"),
    ),
)
def test_baseline_that_no_run_has_is_refused_with_those_that_exist(
    pytester: pytest.Pytester, baseline: str, message: str
) -> None:
    write_past_runs(
        pytester, STEADY[:2], tags=["nightly"], commit_info={"id": "c0ffee", "branch": "main"}
    )
    before = metadata_files(pytester)
    result = gate(pytester, f"--mlps-baseline={baseline}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()
    assert metadata_files(pytester) == before


def test_baseline_without_trials_is_refused_before_any_test(pytester: pytest.Pytester) -> None:
    leave(pytester.path, "training", REFERENCES)
    result = gate(pytester, "--mlps-baseline=file:training_metadata.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "a run of kv_cache that has trials. 20250111_160323 is a run of training" in (
        result.stderr.str()
    )


@pytest.mark.long
def test_run_of_the_reference_is_a_named_baseline_across_with_its_definitions(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(test_kv=TEST)
    submission = Submission(pytester.path / "theirs")
    submission.write()
    baseline = f"--mlps-baseline=file:{submission.kv_leaf}/kv_cache_{KV_TIME}_metadata.json"
    result = gate(pytester, "--mlps-gate-across", baseline)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*read_gib_s*(3)*undecided*",
            "note: unlike: bytes and tokens of requests that end after the window count*",
            "gate passed with a warning*",
        ]
    )
    result = gate(pytester, baseline)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["not compared: *With --mlps-gate-across it is compared*"])


def test_run_of_the_reference_is_no_baseline_that_is_not_named(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_kv=TEST)
    Submission(pytester.path / "results").write()
    result = gate(pytester, "--mlps-gate-across")
    result.stdout.fnmatch_lines(["collecting: 1 of 5 baseline runs*"])


@pytest.mark.parametrize("option", ["--mlps-gate-report=g/v.json", "--mlps-report=g/r.md"])
def test_report_that_cannot_be_written_at_the_end_fails_the_session(
    pytester: pytest.Pytester, option: str
) -> None:
    """Its directory becomes a file while the test runs."""
    pytester.mkdir("g")
    pytester.makepyfile(
        test_kv="""
        from pathlib import Path

        def test_run(kvcache):
            kvcache.run(1)
            Path("g").rmdir()
            Path("g").touch()
        """
    )
    result = pytester.runpytest(*REPRODUCIBLE, *NO_LATENCIES, option, "--mlps-gate")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    name = option.partition("=")[0]
    result.stdout.fnmatch_lines([f"ERROR: {name}: got *a file that can be written*"])
    if "gate" in name:
        assert result.stdout.lines[-1].startswith(f"gate FAILED: {name}: got ")
    assert newest(pytester)["mlpstorage"]["status"] == "failed"


@pytest.mark.long
def test_gate_report_is_replaced_as_a_whole(pytester: pytest.Pytester) -> None:
    """A reader that has the old file open keeps it: the new one is another file."""
    pytester.makepyfile(test_kv=TEST)
    assert gate(pytester, "--mlps-gate-report=g.json").ret == 0
    report = pytester.path / "g.json"
    with report.open() as held:
        before = report.stat().st_ino
        assert gate(pytester, "--mlps-gate-report=g.json").ret == 0
        assert report.stat().st_ino != before
        assert json.load(held)["run_id"] != json.loads(report.read_text())["run_id"]
    assert [path.name for path in pytester.path.glob("*g.json*")] == ["g.json"]


def test_summary_of_a_step_that_cannot_be_written_is_a_note(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(test_kv=TEST)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/proc/summary.md")
    result = gate(pytester)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["note: the step's summary /proc/summary.md was not written: *"])
    assert "::error" not in result.stdout.str()
    assert "::notice title=1%3A read_gib_s collecting::" in result.stdout.str()


@pytest.mark.long
def test_retry_of_one_planned_trial_keeps_the_trace_of_each(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester)
    retry = ("--mlps-trials=1", "--mlps-gate-undecided=retry")
    assert gate(pytester, *retry, "--mlps-set=trace_out=t.csv").ret == 0
    traces = sorted(path.name for path in pytester.path.glob("t*.csv"))
    assert traces == [f"t.workload_1.trial_{number}.csv" for number in (1, 2, 3)]


@pytest.mark.parametrize("option", ["--mlps-gate-undecided=retry", "--mlps-gate-selftest"])
def test_trace_of_a_trial_that_the_gate_may_add_is_checked_before_any_test(
    pytester: pytest.Pytester, option: str
) -> None:
    pytester.makepyfile(test_kv="def test_run(kvcache): raise AssertionError")
    (pytester.path / "t.workload_1.trial_2.csv").write_text("not ours")
    result = gate(pytester, "--mlps-trials=1", option, "--mlps-set=trace_out=t.csv")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "t.workload_1.trial_2.csv" in result.stderr.str()


@pytest.mark.long
def test_trial_of_a_retry_that_fails_fails_the_session_and_is_no_baseline(
    pytester: pytest.Pytester,
) -> None:
    write_past_runs(pytester)
    pytester.makeconftest(
        """
        from mlpstorage_bench.errors import StorageError
        from mlpstorage_bench.trial.case_trials import CaseTrials

        run_one = CaseTrials.run_one

        def fail(self):
            if self.count:
                raise StorageError("reading", "a file", "Input/output error")
            return run_one(self)

        CaseTrials.run_one = fail
        """
    )
    result = pytester.runpytest_subprocess(
        *(*REPRODUCIBLE, *NO_LATENCIES, "--mlps-trials=1", "--mlps-gate-undecided=retry")
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    failure = "more trials of 1: reading a file failed: Input/output error"
    result.stdout.fnmatch_lines([f"ERROR: {failure}", f"gate FAILED: {failure}"])
    assert newest(pytester)["mlpstorage"]["status"] == "failed"
    assert newest(pytester)["mlpstorage"]["tests_passed"] is False


@pytest.mark.long
def test_baseline_run_whose_file_is_damaged_is_left_out_with_a_note(
    pytester: pytest.Pytester,
) -> None:
    write_past_runs(pytester, STEADY[:6])
    damaged = metadata_files(pytester)[2]
    metadata = json.loads(damaged.read_text())
    metadata["mlpstorage"]["cases"]["1"]["trials"][0]["conditions"] = {"limit": 5}
    damaged.write_text(json.dumps(metadata))
    result = gate(pytester)
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"note: no baseline: *{damaged.name}: *conditions*"])
    runs = newest(pytester)["mlpstorage"]["verdicts"][0]["baseline_runs"]
    assert runs == ["past-0", "past-1", "past-3", "past-4", "past-5"]


def test_profile_may_set_rules(pytester: pytest.Pytester) -> None:
    (pytester.path / "own.yaml").write_text(
        "name: own\nmodel: tiny-1b\nduration: 1\nnum_users: 4\nmax_concurrent_allocs: 2\n"
        "gate: {read_bandwidth: '>= 1000000 GiB/s'}\nworkloads: {1: {}}\n"
    )
    pytester.makepyfile(test_kv=TEST)
    result = gate(pytester, "--mlps-profile=own.yaml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["regressed: 1, read_gib_s: median * misses the limit ≥ 1e+06 GiB/s"]
    )


def test_github_receives_annotations_and_a_summary(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_past_runs(pytester, [2 * factor for factor in STEADY])
    summary = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = gate(pytester, "--mlps-gate-report=verdicts.md")
    result.stdout.fnmatch_lines(["::error title=1%3A read_gib_s regressed::*"])
    text = summary.read_text()
    assert "| 1 | read_gib_s | -10 % |" in text
    written = (pytester.path / "verdicts.md").read_text()
    assert written == "<!-- written by mlpstorage_bench -->\n" + text


def test_session_with_a_failed_test_is_not_judged(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester)
    pytester.makepyfile(test_kv="def test_run(kvcache):\n    kvcache.run(1)\n    assert False")
    result = gate(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["the gate did not judge the run, because tests have failed"])
    assert newest(pytester)["mlpstorage"]["verdicts"] == []


def test_session_that_missed_an_objective_is_judged(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester)
    pytester.makepyfile(
        test_kv="""
        from mlpstorage_bench.errors import SloError

        def test_run(kvcache):
            kvcache.run(1)
            raise SloError("as without storage no time passes that an objective could limit")
        """
    )
    result = gate(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r"1 +read_gib_s +-10 % .* passed"])
    own = newest(pytester)["mlpstorage"]
    assert {one["metric"] for one in own["verdicts"]} >= {"read_gib_s", "write_gib_s"}
    assert not own["tests_passed"]


def test_gate_without_a_benchmark_is_an_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_something(): pass")
    result = pytester.runpytest("--mlps-gate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["ERROR: the gate had nothing to judge: no benchmark has run"])
    assert pytester.runpytest("--mlps-mode=whatif", "--mlps-gate").ret == 0
    assert result.stdout.lines[-1] == "gate FAILED: nothing to judge: no benchmark has run"


@pytest.mark.launches_mpi
def test_ranks_judge_together_and_exit_alike(pytester: pytest.Pytester, run_ranks: Any) -> None:
    pytester.makepyfile(test_kv=TEST)
    arguments = [*REPRODUCIBLE, "--mlps-trials=1", "--mlps-gate-no-baseline=pass"]
    assert run_ranks(2, *arguments).ret == 0
    failed = run_ranks(2, *arguments, "--mlps-gate", "--mlps-gate-rule=read_gib_s: >= 1e9")
    assert failed.ret == pytest.ExitCode.TESTS_FAILED
    assert failed.stdout.str().count("mlpstorage gate") == 1
