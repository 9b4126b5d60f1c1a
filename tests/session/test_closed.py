"""Closed runs: pauses, the cache between trials, and what the validator says of shortened ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.kvcache.config.profile_file import load_profile
from tests.session.closed import (
    CLOSED,
    PAUSES,
    check_sequence,
    counter_times,
    metadata_in,
    rank_files,
    results_on_another_filesystem,
    shorten,
    steps_of,
)
from tests.variants import first_of

RunRanks = Callable[..., pytest.RunResult]
CLOCKS_S = 0.05
"""Largest difference between the time of day and the monotonic clock within a trial."""


results = pytest.fixture(results_on_another_filesystem)


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


@pytest.mark.long
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


def test_closed_run_on_one_filesystem_is_refused_before_it_begins(
    pytester: pytest.Pytester,
) -> None:
    shorten(pytester)
    run = pytester.runpytest_subprocess(*CLOSED, "--mlps-results-dir=results")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    message = (
        "ERROR: --mlps-results-dir: got '*results'; accepted: in mode closed, a directory on "
        "another filesystem than the cache. On *, cache and results lie on one filesystem "
        "(*cache: *; *results: *): rule 6.4.1 demands two. Set it, or --mlps-cache-dir, to *"
    )
    run.stderr.fnmatch_lines([message])
    assert not (pytester.path / "results").exists()
    assert not (pytester.path / "cache").exists()


@pytest.mark.long
def test_closed_run_that_comes_to_lie_on_one_filesystem_is_not_valid(
    pytester: pytest.Pytester,
) -> None:
    shorten(pytester)
    pytester.makeconftest(
        """
        from mlpstorage_bench.session import run_opening as start

        start._check_separation = lambda session: None
        """
    )
    pytester.runpytest_subprocess(*CLOSED, "--mlps-results-dir=results", "-k", "1")
    metadata = metadata_in(pytester.path / "results")
    assert metadata["mlpstorage"]["filesystems"]["same_filesystem"] is True
    assert metadata["verification"] == "INVALID"
    assert any("6.4.1" in one for one in metadata["mlpstorage"]["not_valid_because"])
    validated = pytester.runpytest_subprocess("--mlps-validate=results")
    validated.stdout.re_match_lines(
        [r"violated +6\.4\.1 .* both directories lie on one filesystem.*"]
    )


@pytest.mark.parametrize("option", first_of("--benchmark-disable", "--mlps-gate-selftest"))
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
