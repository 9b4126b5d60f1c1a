"""Closed runs: pauses, the cache between trials, and what the validator says of shortened ones."""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.kvcache.config.profile_file import load_profile
from tests.session.closed import (
    CLOSED,
    PAUSES,
    counter_times,
    metadata_in,
    rank_files,
    shorten,
)

RunRanks = Callable[..., pytest.RunResult]
TRIAL = ["pause_before_trial", "cache_emptied", "trial", "pause_after_trial"]
CLOCKS_S = 0.05
"""Largest difference between the time of day and the monotonic clock within a trial."""
MEMORY = Path("/dev/shm")


@pytest.fixture
def results() -> Iterator[Path]:
    """A results directory on another filesystem than pytester's directory."""
    folder = Path(tempfile.mkdtemp(prefix="mlps-results-", dir=MEMORY))
    yield folder
    shutil.rmtree(folder)


def steps_of(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = metadata["mlpstorage"]["sequence"]["steps"]
    return steps


def check_sequence(metadata: dict[str, Any]) -> None:
    """Check order, length and place of all steps of a shortened run."""
    steps = steps_of(metadata)
    expected = [*TRIAL * 3, *["pause_between_options", *TRIAL * 3] * 2]
    assert [one["step"] for one in steps] == expected
    assert [one["trial"] for one in steps if one["step"] == "trial"] == [1, 2, 3] * 3
    lengths = {
        "pause_before_trial": PAUSES["delay_before_trial"],
        "pause_after_trial": PAUSES["delay_after_trial"],
        "pause_between_options": PAUSES["delay_between_workloads"],
    }
    for step in steps:
        assert step["seconds"] >= lengths.get(step["step"], 0.0)
    emptied = [one["removed_bytes"] > 0 for one in steps if one["step"] == "cache_emptied"]
    assert emptied == [False] + [True] * 8, "a trial's entries stay until the next one begins"
    for one, following in itertools.pairwise(steps):
        assert following["began_at"] >= one["began_at"] + one["seconds"] - 0.05


def check_windows(pytester: pytest.Pytester, ranks: list[dict[str, Any]]) -> None:
    """Check that each window, and both readings of counters for its audit, lie in a trial's step.

    So no pause and no emptying of the cache is in them: steps follow each other.
    """
    trials: dict[int, list[tuple[float, float]]] = {}
    for rank in (one["mlpstorage"] for one in ranks):
        trial = rank["sequence"][-1]
        assert trial["step"] == "trial"
        begin, end = trial["began_at"], trial["began_at"] + trial["seconds"]
        assert begin <= rank["opened_at"] <= rank["opened_at"] + rank["window_s"] <= end + CLOCKS_S
        trials.setdefault(rank["rank"], []).append((begin, end))
    for number, own in trials.items():
        times = iter(counter_times(pytester, number))
        for begin, end in own:
            assert begin <= next(times) <= next(times) <= end + CLOCKS_S
        assert not [*times]


def steps_by_rank(ranks: list[dict[str, Any]]) -> dict[int, list[tuple[str, int]]]:
    found: dict[int, list[tuple[str, int]]] = {}
    for rank in ranks:
        found.setdefault(rank["mlpstorage"]["rank"], []).extend(
            (one["step"], one["trial"]) for one in rank["mlpstorage"]["sequence"]
        )
    return found


def test_closed_run_pauses_and_empties_the_cache_around_each_trial(
    pytester: pytest.Pytester, results: Path
) -> None:
    shorten(pytester)
    run = pytester.runpytest_subprocess(*CLOSED, f"--mlps-results-dir={results}")
    run.assert_outcomes(passed=3)
    metadata = metadata_in(results)
    check_sequence(metadata)
    check_windows(pytester, [*rank_files(results)])
    assert metadata["parameters"]["sequence"]["inter_option_delay_s"] == 0.1
    assert metadata["args"]["inter_option_delay"] == 0.1
    assert metadata["mlpstorage"]["sequence"]["delay_before_trial_s"] == 0.2
    run.stdout.re_match_lines(
        [
            r"mlpstorage: 9 trials and their pauses take about 9\.06 min: 9 min of load and .*",
            r"mlpstorage: pause of 0\.2 s before trial 1 of workload 1, .* until \d\d:\d\d:\d\d",
            r"mlpstorage: pause of 0\.15 s after trial 3 of workload 1, .*",
            r"mlpstorage: pause of 0\.1 s before workload 2, .*",
        ]
    )


@pytest.mark.long
@pytest.mark.launches_mpi
def test_all_ranks_of_a_closed_run_take_the_same_steps(
    pytester: pytest.Pytester, run_ranks: RunRanks, results: Path
) -> None:
    shorten(pytester)
    run = run_ranks(2, *CLOSED, f"--mlps-results-dir={results}")
    run.assert_outcomes(passed=3)
    metadata, ranks = metadata_in(results), [*rank_files(results)]
    check_sequence(metadata)
    check_windows(pytester, ranks)
    steps = steps_by_rank(ranks)
    assert steps[0] == steps[1]
    recorded = [(one["step"], one["trial"]) for one in steps_of(metadata)]
    without_end = [one for one in recorded if one[0] != "pause_after_trial"]
    assert [one for one in steps[0] if one[0] != "pause_after_trial"] == without_end
    assert run.stdout.str().count("mlpstorage: pause of") == 9 * 2 + 2


def test_shortened_run_is_not_a_closed_one_for_the_validator(
    pytester: pytest.Pytester, results: Path
) -> None:
    shorten(pytester)
    options = f"--mlps-results-dir={results}"
    pytester.runpytest_subprocess(*CLOSED, options, "-k", "1").assert_outcomes(passed=1)
    own = metadata_in(results)["mlpstorage"]
    assert own["filesystems"]["same_filesystem"] is False
    assert own["filesystems"]["results"]["fstype"] == "tmpfs"
    validated = pytester.runpytest_subprocess(f"--mlps-validate={results}")
    assert validated.ret == pytest.ExitCode.TESTS_FAILED
    for rule in ("6.3.1.1", "6.3.2.1"):
        validated.stdout.re_match_lines([rf"violated +{re.escape(rule)} .*"])
    assert not re.search(r"^(violated|cannot tell) +6\.4\.1 ", validated.stdout.str(), re.MULTILINE)


def test_closed_run_on_one_filesystem_says_so_at_its_start_and_is_not_valid(
    pytester: pytest.Pytester,
) -> None:
    shorten(pytester)
    run = pytester.runpytest_subprocess(*CLOSED, "--mlps-results-dir=results", "-k", "1")
    note = "note: cache and results lie on one filesystem (*): rule 6.4.1 demands two. *"
    run.stdout.fnmatch_lines([f"mlpstorage: {note}", "mlpstorage: pause of *"])
    metadata = metadata_in(pytester.path / "results")
    assert metadata["mlpstorage"]["filesystems"]["same_filesystem"] is True
    assert metadata["verification"] == "INVALID"
    assert any("6.4.1" in one for one in metadata["mlpstorage"]["not_valid_because"])
    validated = pytester.runpytest_subprocess("--mlps-validate=results")
    validated.stdout.re_match_lines(
        [r"violated +6\.4\.1 .* both directories lie on one filesystem.*"]
    )


@pytest.mark.parametrize("option", ["--benchmark-disable", "--mlps-gate-selftest"])
def test_option_that_changes_the_number_of_trials_is_refused_in_closed_mode(
    pytester: pytest.Pytester, results: Path, option: str
) -> None:
    shorten(pytester)
    run = pytester.runpytest_subprocess(*CLOSED, f"--mlps-results-dir={results}", option, "-k1")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(
        ["*kvcache.run: trials: got *; accepted: 3, the number of mode closed*"]
    )


def test_profile_quick_has_no_pauses_and_mlperf_those_of_the_reference() -> None:
    quick, mlperf = load_profile("quick"), load_profile("mlperf")
    for name in PAUSES:
        assert getattr(quick, name) == 0
        assert getattr(mlperf, name) == 90
