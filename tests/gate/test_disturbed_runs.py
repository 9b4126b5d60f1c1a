"""Disturbed runs in whole sessions: named, retried, no baseline, and not green for ever."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.docs.ci_page import gate_arguments
from tests.gate.sessions import (
    NO_LATENCIES,
    REPRODUCIBLE,
    STEADY,
    TEST,
    change_trials,
    gate,
    metadata_files,
    newest,
    write_past_runs,
)

SIMULATED = [option for option in REPRODUCIBLE if not option.startswith("--mlps-cache-dir")]
BACKUP = "other programs moved * on sda on node-a"


def verdicts(pytester: pytest.Pytester) -> dict[str, str]:
    found = newest(pytester)["mlpstorage"]["verdicts"]
    return {one["metric"]: one["verdict"] for one in found}


def collect(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Write a baseline of five unchanged nights."""
    with monkeypatch.context() as patch:
        change_trials(patch, **changes)
        write_past_runs(pytester, STEADY[:5])


@pytest.mark.long
def test_nights_with_a_disturbed_one_collect_compare_and_find_a_loss(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is empty before, and the command is that of docs/ci.md."""
    pytester.mkdir("benchmarks").joinpath("test_kvcache.py").write_text(TEST)
    command = [*gate_arguments("github", "cache"), *SIMULATED, "--mlps-trials=3"]

    def night(**changes: Any) -> pytest.RunResult:
        with monkeypatch.context() as patch:
            change_trials(patch, **changes)
            return pytester.runpytest(*command, *NO_LATENCIES)

    for _ in range(3):
        assert night().ret == 0
    disturbed = night(speed=0.5, others=1.7)
    assert disturbed.ret == 0
    assert set(verdicts(pytester).values()) == {"disturbed"}
    assert newest(pytester)["mlpstorage"]["status"] == "passed"
    lines = [
        f"disturbed: {BACKUP}; 3 of 5 baseline runs, excluding this run, which was *: case 1",
        "warning: case 1 was not judged*",
        "gate: 3 disturbed (against *, look 4 of at most 4)",
        "next: if it comes back, end what disturbed the run, *",
    ]
    disturbed.stdout.fnmatch_lines(lines)
    for count in (4, 5):
        result = night()
        assert result.ret == 0
        assert f"collecting: {count} of 5 baseline runs" in result.stdout.str()
    assert night().ret == 0
    assert verdicts(pytester)["read_gib_s"] == "passed"
    disturbed_again = night(speed=0.6, others=1.7)
    assert disturbed_again.ret == 0
    assert verdicts(pytester)["read_gib_s"] == "disturbed"
    lost = night(speed=0.6)
    assert lost.ret == pytest.ExitCode.TESTS_FAILED
    assert lost.stdout.lines[-1].startswith(
        "gate FAILED: regressed: 1 requests_per_s 40 % less, 1 read_gib_s 40 % less bandwidth"
    )
    assert verdicts(pytester)["read_gib_s"] == "regressed"
    assert night().ret == 0
    used = newest(pytester)["mlpstorage"]["verdicts"][0]["baseline_runs"]
    assert len(used) == 6, "three nights are in no baseline: two disturbed, one regressed"


def test_disturbed_nights_in_a_row_do_not_stay_green(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(pytester, monkeypatch)
    with monkeypatch.context() as patch:
        change_trials(patch, speed=0.5, others=1.7)
        first, second, third = (gate(pytester, "--junitxml=junit.xml") for _ in range(3))
    assert [first.ret, second.ret, third.ret] == [0, 0, 4]
    assert "third disturbed run in a row fails" in first.stdout.str()
    assert third.stdout.lines[-1] == "gate FAILED: disturbed for 3 runs in a row: 1"
    third.stdout.fnmatch_lines(["error: case 1 * and in the 2 runs before: *", "next: end what *"])
    assert newest(pytester)["mlpstorage"]["status"] == "failed"
    assert newest(pytester)["mlpstorage"]["tests_passed"] is True
    failures = ET.parse(pytester.path / "junit.xml").iter("failure")  # noqa: S314 - our own file
    assert len(list(failures)) == 3
    assert gate(pytester).ret == 0, "a quiet night is judged again"
    with monkeypatch.context() as patch:
        change_trials(patch, speed=0.5, others=1.7)
        assert gate(pytester).ret == 0, "and the row is over"


@pytest.mark.parametrize(
    ("meaning", "status", "verdict"),
    [("pass", 0, "disturbed"), ("error", 4, "disturbed"), ("ignore", 1, "regressed")],
)
def test_option_chooses_what_a_disturbed_run_means(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    meaning: str,
    status: int,
    verdict: str,
) -> None:
    collect(pytester, monkeypatch)
    change_trials(monkeypatch, speed=0.5, others=1.7)
    assert gate(pytester, f"--mlps-gate-disturbed={meaning}").ret == status
    assert verdicts(pytester)["read_gib_s"] == verdict


def test_runs_that_were_disturbed_are_a_baseline_if_the_user_ignores_that(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(pytester, monkeypatch)
    for path in metadata_files(pytester)[:2]:
        metadata = json.loads(path.read_text())
        for trial in metadata["mlpstorage"]["cases"]["1"]["trials"]:
            trial["conditions"]["denied_share"] = 0.1
        path.write_text(json.dumps(metadata))
    result = gate(pytester)
    assert set(verdicts(pytester).values()) == {"collecting"}
    result.stdout.fnmatch_lines(["*1: 2 comparable runs cannot be a baseline, as something else *"])
    result = gate(pytester, "--mlps-gate-disturbed=ignore")
    assert set(verdicts(pytester).values()) == {"passed"}
    assert len(newest(pytester)["mlpstorage"]["verdicts"][0]["baseline_runs"]) == 6


def test_loss_that_the_disturbance_does_not_explain_regresses(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(pytester, monkeypatch)
    change_trials(monkeypatch, speed=0.6, others=0.05)
    result = gate(pytester)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    also = f"more than a disturbance explains ({BACKUP})"
    result.stdout.fnmatch_lines([f"regressed: 1, read_gib_s: 40 % less bandwidth *; {also}"])


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        ("load", "storage", "regressed"),
        pytest.param("harness", "storage", "regressed", marks=pytest.mark.long),
        pytest.param("storage", "load", "disturbed", marks=pytest.mark.long),
        ("storage", "harness", "disturbed"),
        pytest.param("storage", "storage", "regressed", marks=pytest.mark.long),
    ],
)
def test_loss_with_another_limit_is_the_storages_if_the_storage_limits_now(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    before: str,
    now: str,
    verdict: str,
) -> None:
    collect(pytester, monkeypatch, limited_by=before)
    change_trials(monkeypatch, speed=0.6, limited_by=now)
    assert gate(pytester).ret == (1 if verdict == "regressed" else 0)
    assert verdicts(pytester)["read_gib_s"] == verdict


def test_gain_with_another_limit_is_an_improvement(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(pytester, monkeypatch)
    change_trials(monkeypatch, speed=1.5, limited_by="harness")
    assert gate(pytester).ret == 0
    assert verdicts(pytester)["read_gib_s"] == "improved"


def test_retry_judges_the_trials_that_were_not_disturbed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(pytester, monkeypatch)
    disturbed = {"first_others": [1.7] * 3, "first_speeds": [0.5] * 3}
    retry = ("--mlps-trials=3", "--mlps-gate-undecided=retry")
    with monkeypatch.context() as patch:
        change_trials(patch, **disturbed)  # type: ignore[arg-type]  # two lists of numbers
        result = gate(pytester, *retry)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "mlpstorage: gate: 1 is disturbed: 3 more trials, for look 2",
            f"note: 1: 3 trials were disturbed (1, 2, 3): {BACKUP}. *",
            "gate: 3 passed (against *, look 2 of at most 4)",
        ]
    )
    assert newest(pytester)["mlpstorage"]["verdicts"][0]["trials"] == 3
    with monkeypatch.context() as patch:
        change_trials(patch, speed=0.6, **disturbed)  # type: ignore[arg-type]  # as above
        assert gate(pytester, *retry).ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.long
def test_disturbed_trial_of_a_run_that_passed_is_in_no_baseline(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(pytester, monkeypatch)
    with monkeypatch.context() as patch:
        change_trials(patch, first_others=[1.7], first_speeds=[0.5])
        assert gate(pytester, "--mlps-trials=4").ret == 0
    run_id = newest(pytester)["mlpstorage"]["run_id"]
    assert gate(pytester, "--mlps-gate-report=g.json").ret == 0
    report = json.loads((pytester.path / "g.json").read_text())
    read = next(one for one in report["verdicts"] if one["metric"] == "read_gib_s")
    assert run_id in read["baseline_runs"]
    assert read["baseline_spread"] < 0.01, "its disturbed trial is left out"


@pytest.mark.long
def test_run_without_the_gate_that_was_disturbed_is_no_baseline(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(pytester, monkeypatch)
    with monkeypatch.context() as patch:
        change_trials(patch, speed=0.5, others=1.7)
        assert pytester.runpytest(*REPRODUCIBLE).ret == 0
    run_id = newest(pytester)["mlpstorage"]["run_id"]
    assert gate(pytester).ret == 0
    assert run_id not in newest(pytester)["mlpstorage"]["verdicts"][0]["baseline_runs"]


def test_github_warns_of_a_disturbed_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    pytester.makepyfile(test_kv=TEST)
    change_trials(monkeypatch, speed=0.5, others=1.7)
    result = gate(pytester)
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"::warning title=1%3A read_gib_s disturbed::{BACKUP}*"])
    assert "::error" not in result.stdout.str()
