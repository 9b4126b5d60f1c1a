"""Growth of the baseline from an empty results directory, and runs that are not added to it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.docs.ci_page import gate_arguments
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
from tests.variants import first_of

SIMULATED = [option for option in REPRODUCIBLE if not option.startswith("--mlps-cache-dir")]


def own_facts(pytester: pytest.Pytester) -> dict[str, Any]:
    facts: dict[str, Any] = newest(pytester)["mlpstorage"]
    return facts


def rewrite(path: Path, **changes: object) -> None:
    """Change fields under `mlpstorage` in a metadata file."""
    metadata = json.loads(path.read_text())
    metadata["mlpstorage"] |= changes
    path.write_text(json.dumps(metadata))


def test_eight_unchanged_nights_with_the_options_of_the_ci_page_collect_then_compare(
    pytester: pytest.Pytester,
) -> None:
    pytester.mkdir("benchmarks").joinpath("test_kvcache.py").write_text(TEST)
    command = [*gate_arguments("github", "cache"), *SIMULATED, "--mlps-trials=3"]
    for night in range(1, 9):
        result = pytester.runpytest(*command)
        assert result.ret == 0, f"night {night}"
        assert newest(pytester)["mlpstorage"]["status"] == "passed"
        verdicts = {one["metric"]: one["verdict"] for one in own_facts(pytester)["verdicts"]}
        progress = f"collecting: {night} of 5 baseline runs"
        if night <= 5:
            assert progress in result.stdout.str()
            assert set(verdicts.values()) == {"collecting"}
        else:
            assert "collecting" not in result.stdout.str()
            assert verdicts["read_gib_s"] == "passed"
            assert "read_p95_ms" not in verdicts, "it is 0 without storage"
            result.stdout.fnmatch_lines(["not judged: 0 in this run and in all *: 1 read_p95_ms*"])


@pytest.mark.parametrize("nights", first_of(5, 8, 10))
def test_loss_of_forty_percent_fails_after_five_or_more_nights(
    pytester: pytest.Pytester, nights: int
) -> None:
    write_past_runs(pytester, [factor / 0.6 for factor in STEADY[:nights]], tags=["nightly"])
    pytester.mkdir("benchmarks").joinpath("test_kvcache.py").write_text(TEST)
    command = gate_arguments("github", "cache")
    result = pytester.runpytest(*command, *SIMULATED, "--mlps-trials=3")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.re_match_lines([r"regressed: 1, read_gib_s: 40 % less bandwidth .*"])


def test_first_run_collects_and_passes_by_default(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_kv=TEST)
    first = gate(pytester, "--junitxml=junit.xml")
    assert first.ret == 0
    first.stdout.fnmatch_lines(
        [
            "1 * collecting",
            "collecting: 1 of 5 baseline runs, including this run: case 1",
            "gate: 3 collecting (against *",
            "next: run it again: after 4 more runs, every run is compared",
            "gate passed: 3 collecting",
        ]
    )
    assert (newest(pytester)["mlpstorage"]["status"], own_facts(pytester)["tests_passed"]) == (
        "passed",
        True,
    )
    assert own_facts(pytester)["gate"]["verdict"] == "collecting"
    assert "collecting: 1 of 5 baseline runs" in (pytester.path / "junit.xml").read_text()


@pytest.mark.parametrize(("meaning", "status"), first_of(("collect", 0), ("pass", 0), ("error", 4)))
def test_collecting_run_exits_as_no_baseline_says_and_counts_later(
    pytester: pytest.Pytester, meaning: str, status: int
) -> None:
    pytester.makepyfile(test_kv=TEST)
    for number in (1, 2):
        result = gate(pytester, f"--mlps-gate-no-baseline={meaning}", "--mlps-gate-undecided=fail")
        assert result.ret == status
        assert f"collecting: {number} of 5 baseline runs" in result.stdout.str()
        assert own_facts(pytester)["tests_passed"] is True


@pytest.mark.long
def test_limit_applies_while_baseline_runs_are_collected(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_kv=TEST)
    result = gate(pytester, "--mlps-gate-rule=read_bandwidth: >= 1e9 GiB/s")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "regressed: 1, read_gib_s: median * misses the limit ≥ 1e+09 GiB/s",
            "collecting: 0 of 5 baseline runs, excluding this run, which has regressed: 1 *",
        ]
    )
    again = gate(pytester, "--mlps-gate-rule=read_bandwidth: >= 0 GiB/s")
    assert again.ret == 0
    assert "collecting: 1 of 5 baseline runs, including this run" in again.stdout.str()


@pytest.mark.parametrize(
    "meaning",
    [
        pytest.param("collect", marks=pytest.mark.long),
        "pass",
        pytest.param("error", marks=pytest.mark.long),
    ],
)
def test_runs_of_another_system_are_never_a_baseline(
    pytester: pytest.Pytester, meaning: str
) -> None:
    write_past_runs(
        pytester,
        system_fingerprint="other",
        system_fingerprint_parts={"ranks": 1, "hosts": [{"cpu_model": "Z80"}]},
    )
    for _ in range(2):
        result = gate(pytester, f"--mlps-gate-no-baseline={meaning}")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stdout.fnmatch_lines(
            [
                'not compared: case 1: *differs: system.hosts*cpu_model: * here, "Z80" there*',
                "*run once without the gate*",
            ]
        )
        assert own_facts(pytester)["gate"]["verdict"] == "not compared"


@pytest.mark.long
@pytest.mark.parametrize("verdict", first_of("regressed", "disturbed", "undecided"))
def test_runs_of_another_system_refuse_whatever_the_gate_said_of_them(
    pytester: pytest.Pytester, verdict: str
) -> None:
    """Otherwise an array that is not mounted would start a baseline after a bad night."""
    write_past_runs(
        pytester,
        STEADY[:1],
        system_fingerprint="other",
        system_fingerprint_parts={"ranks": 9},
        gate={"verdict": verdict, "refusals": {}},
        verdicts=[{"case": "1", "metric": "read_gib_s", "verdict": verdict}],
    )
    assert gate(pytester).ret == pytest.ExitCode.USAGE_ERROR
    assert own_facts(pytester)["gate"]["verdict"] == "not compared"


@pytest.mark.long
def test_run_without_the_gate_starts_a_new_baseline(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester, system_fingerprint="other", system_fingerprint_parts={"ranks": 9})
    assert gate(pytester).ret == pytest.ExitCode.USAGE_ERROR
    assert pytester.runpytest(*REPRODUCIBLE).ret == 0
    result = gate(pytester)
    assert result.ret == 0
    assert "collecting: 2 of 5 baseline runs" in result.stdout.str()


@pytest.mark.long
def test_undecided_run_that_failed_its_gate_counts_for_the_baseline(
    pytester: pytest.Pytester,
) -> None:
    write_past_runs(pytester, [1.0, 3.0, 1.0, 3.0, 1.0])
    failed = gate(pytester, "--mlps-gate-undecided=fail")
    assert failed.ret == pytest.ExitCode.TESTS_FAILED
    assert (newest(pytester)["mlpstorage"]["status"], own_facts(pytester)["tests_passed"]) == (
        "failed",
        True,
    )
    assert own_facts(pytester)["gate"]["verdict"] == "undecided"
    undecided = own_facts(pytester)["run_id"]
    gate(pytester)
    assert undecided in own_facts(pytester)["verdicts"][0]["baseline_runs"]


@pytest.mark.long
def test_missed_limit_is_what_the_last_line_names(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester)
    result = gate(pytester, "--mlps-gate-rule=read_gib_s: >= 1000000 GiB/s")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.outlines[-1].startswith("gate FAILED: regressed: 1 read_gib_s: median ")
    assert result.outlines[-1].endswith(" misses the limit ≥ 1e+06 GiB/s")


@pytest.mark.parametrize(
    ("tests_passed", "gate_verdict", "counts"),
    [
        (True, "undecided", True),
        pytest.param(True, "collecting", True, marks=pytest.mark.long),
        (True, "regressed", False),
        pytest.param(False, "passed", False, marks=pytest.mark.long),
    ],
)
def test_baseline_runs_are_those_whose_tests_passed_and_that_did_not_regress(
    pytester: pytest.Pytester,
    tests_passed: bool,  # noqa: FBT001 - a case of the test
    gate_verdict: str,
    counts: bool,  # noqa: FBT001 - a case of the test
) -> None:
    write_past_runs(pytester, STEADY[:6])
    rewrite(
        next(path for path in metadata_files(pytester) if "20260102" in str(path)),
        tests_passed=tests_passed,
        gate={"verdict": gate_verdict, "verdicts": [], "refusals": {}},
    )
    gate(pytester)
    runs = own_facts(pytester)["verdicts"][0]["baseline_runs"]
    assert ("past-2" in runs) == counts
    assert "past-3" in runs


@pytest.mark.long
def test_old_metadata_without_tests_passed_counts_if_its_status_is_passed(
    pytester: pytest.Pytester,
) -> None:
    write_past_runs(pytester, STEADY[:6])
    for path in metadata_files(pytester):
        metadata = json.loads(path.read_text())
        del metadata["mlpstorage"]["tests_passed"]
        metadata["mlpstorage"]["gate"] = None
        metadata["mlpstorage"]["status"] = "failed" if "20260102" in str(path) else "passed"
        path.write_text(json.dumps(metadata))
    gate(pytester)
    runs = own_facts(pytester)["verdicts"][0]["baseline_runs"]
    assert runs == ["past-0", "past-1", "past-3", "past-4", "past-5"]


@pytest.mark.long
def test_tag_of_no_run_is_not_collected(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(test_kv=TEST)
    refused = gate(pytester, "--mlps-baseline=tag:nightyl", "--mlps-tag=nightly")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    assert "a tag of an earlier run, or of this run (--mlps-tag=nightyl)" in refused.stderr.str()
    collected = gate(pytester, "--mlps-baseline=tag:nightly", "--mlps-tag=nightly")
    assert collected.ret == 0
    assert "collecting: 1 of 5 baseline runs, including this run" in collected.stdout.str()
    untagged = gate(pytester, "--mlps-baseline=tag:nightly")
    assert untagged.ret == 0
    assert "collecting: 1 of 5 baseline runs, excluding this run" in untagged.stdout.str()


@pytest.mark.long
def test_retry_judges_an_earlier_run_with_one_look(pytester: pytest.Pytester) -> None:
    """No trials can be added to an earlier run, so the only look has the whole rate."""
    write_past_runs(pytester, [2.0, 1.9, 2.05, 2.1, 1.95, 2.0, 1.9, 2.1, 2.0, 1.95])
    pytester.runpytest(*REPRODUCIBLE).assert_outcomes(passed=1)
    run_id = own_facts(pytester)["run_id"]
    result = pytester.runpytest_subprocess(
        *(f"--mlps-gate={run_id}", "--mlps-gate-undecided=retry", "--mlps-results-dir=results"),
        *NO_LATENCIES,
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "look" not in result.stdout.str()


@pytest.mark.parametrize(
    "past",
    first_of(
        pytest.param([2.0, 1.9, 2.05, 2.1, 1.95, 2.0], id="6 runs"),
        pytest.param([2.0, 1.7, 2.05, 2.1, 1.75, 2.0, 1.7, 2.1, 2.0, 1.75], id="10 runs"),
    ),
)
def test_retry_finds_a_loss_that_one_look_finds(
    pytester: pytest.Pytester, past: list[float]
) -> None:
    """A later look, or the only one, finds a loss that the first look may not decide yet."""
    write_past_runs(pytester, past)
    only = ["--mlps-gate-rule=write_gib_s: off", "--mlps-gate-rule=requests_per_s: off"]
    retried = gate(pytester, "--mlps-trials=3", "--mlps-gate-undecided=retry", *only)
    assert retried.ret == pytest.ExitCode.TESTS_FAILED
    one_look = gate(pytester, "--mlps-trials=3", *only)
    assert one_look.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.long
def test_copies_of_runs_count_once(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester, STEADY[:4])
    results = pytester.path / "results"
    shutil.copytree(results, pytester.path / "copy")
    shutil.move(pytester.path / "copy", results / "backup")
    result = gate(pytester)
    assert result.ret == 0
    assert "collecting: 5 of 5 baseline runs" in result.stdout.str()
    result.stdout.fnmatch_lines(["*4 copies of runs are left out of the baseline*"])


def test_runs_of_a_clock_that_was_ahead_are_named(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester, STEADY[:6])
    first, *_ = metadata_files(pytester)
    rewrite(first, start_datetime="2099-01-01T00:00:00+00:00")
    result = gate(pytester)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*1 run began after this run by their clocks, the latest, past-0, at 2099-01-01*"]
    )
