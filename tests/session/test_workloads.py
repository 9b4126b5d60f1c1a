"""Workloads of a session of one process: workloads, scenarios, objectives and closed mode."""

from __future__ import annotations

import json

import pytest

from tests.session.tiny import LONG, TINY, WITHOUT_PAUSES, metadata_of


def test_kvcache_workload_argument_runs_a_test_for_each_option(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        "def test_workload(kvcache, kvcache_workload): kvcache.run(kvcache_workload)"
    )
    result = pytester.runpytest("--collect-only", "-q")
    result.stdout.fnmatch_lines(["*[[]1]", "*[[]2]", "*[[]3]"])
    assert not (pytester.path / "mlps-results").exists()


def test_command_without_tests_says_where_the_benchmarks_are(pytester: pytest.Pytester) -> None:
    where = "*add --pyargs mlpstorage_bench.benchmarks for the benchmarks of this package"
    result = pytester.runpytest("--mlps-cache-dir=cache")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines([where])
    pytester.makepyfile(test_named="")
    pytester.makepyfile(test_deselected="def test_one(): pass")
    deselected = ["--mlps-cache-dir=cache", "-k", "nothing"]
    for named in (["--mlps-cache-dir=cache", "test_named.py"], [], deselected):
        pytester.runpytest(*named).stdout.no_fnmatch_line(where)


def test_run_without_storage_traffic_has_a_note_and_fails_in_closed_mode(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import dataclasses

        def test_in_memory(kvcache): kvcache.run(1, cpu_mem_gb=2.0)

        def test_in_memory_closed(kvcache):
            kvcache._plan = dataclasses.replace(kvcache._plan, mode="closed")
            kvcache.run(2)
        """
    )
    result = pytester.runpytest(*TINY, "--mlps-set=cpu_mem_gb=2.0", "--mlps-cache-dir=cache")
    result.assert_outcomes(passed=1, failed=1)
    untouched = "no entry reached the storage tier: only memory was measured"
    result.stdout.fnmatch_lines([f"*UntouchedStorageError: workload 2: {untouched}"])
    result.stdout.fnmatch_lines([f"note: workload* 1*: {untouched}"])


def test_missed_objectives_of_a_class_fail_the_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.mlps_slo("batch", p95_ms=1e6)
        @pytest.mark.mlps_slo("read_chunk", p99_ms=1e6)
        def test_meets_objective(kvcache): kvcache.run(1)

        @pytest.mark.mlps_slo("batch", p95_ms=0.001)
        def test_misses_objective(kvcache): kvcache.run(2)

        def test_profile_objective(kvcache): kvcache.run(3)

        @pytest.mark.mlps_slo("urgent", p95_ms=1)
        def test_unknown_class(kvcache): kvcache.run(1)
        """
    )
    objective = "--mlps-set=workloads.3.slos={batch: {p50_ms: 0.001}}"
    result = pytester.runpytest(*TINY, objective, "--strict-markers", "--mlps-cache-dir=cache")
    result.assert_outcomes(passed=1, failed=2, errors=1)
    result.stdout.re_match_lines(
        [
            r".*SloError: workload 2 missed its objectives: batch: p95_ms is .*: at most 0.001.*",
            r".*SloError: workload 3 missed its objectives: batch: p50_ms is .*: at most 0.001.*",
        ]
    )
    result.stdout.re_match_lines(
        [
            r"objective met: workload 1: read_chunk: p99_ms is .* \(\d+ chunks.*\)",
            r"objective met: workload 1: batch: p95_ms is .* \(\d+ requests.*\)",
            r"objective MISSED: workload 2: batch: .*",
        ]
    )
    own = metadata_of(pytester)["mlpstorage"]
    (missed,) = own["cases"]["2"]["objectives"]
    assert (missed["percentile"], missed["limit_ms"], missed["is_met"]) == ("p95_ms", 0.001, False)
    assert missed["samples"] == own["metrics"]["2"]["qos"]["batch"]["requests"] > 0
    metrics = own["metrics"]
    assert metrics["2"]["qos"]["batch"]["target_p95_ms"] == 1000


def test_settings_of_the_user_override_those_of_a_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_parameters(kvcache):
            assert kvcache.workload(1, duration=99, num_users=3).duration == 60
            assert kvcache.workload(1, duration=99, num_users=3).num_users == 3
            assert kvcache.run(1, requests=99).metrics()["requests"] == 40
        """
    )
    pytester.runpytest(*TINY).assert_outcomes(passed=1)


def test_parameters_are_set_by_their_synonyms(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from mlpstorage_bench.errors import InvalidInputError

        def test_synonyms(kvcache):
            assert kvcache.workload(1, lanes=9).max_concurrent_allocs == 3
            assert kvcache.workload(2, lanes=9).max_concurrent_allocs == 2
            assert kvcache.workload(3, lanes=9, users_per_rank=5).max_concurrent_allocs == 9
            with pytest.raises(InvalidInputError, match="kvcache.run: got 'lanes and max_conc"):
                kvcache.run(3, lanes=9, max_concurrent_allocs=9)
            with pytest.raises(InvalidInputError, match="Did you mean 'lanes'"):
                kvcache.run(3, lane=9)
            assert kvcache.run(1, lanes=9).trials
        """
    )
    settings = ["--mlps-set=workloads.1.lanes=3", "--mlps-set=options.2.max_concurrent_allocs=2"]
    pytester.runpytest(*TINY, *settings).assert_outcomes(passed=1)


def test_settings_have_the_names_of_the_parameters_in_the_metadata(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_run(mlps_run): pass")
    settings = ("users_per_rank=3", "workloads.1.lanes=2", "delay_between_workloads=0", "lanes=5")
    options = [f"--mlps-set={setting}" for setting in settings]
    pytester.runpytest(*options, "--mlps-results-dir=results").assert_outcomes(passed=1)
    metadata = metadata_of(pytester)
    assert metadata["override_parameters"] == {
        "num_users": "3",
        "options.1.max_concurrent_allocs": "2",
        "delay_between_options": "0",
        "max_concurrent_allocs": "5",
    }
    assert metadata["mlpstorage"]["parameters"]["options"]["1"]["max_concurrent_allocs"] == 5


@pytest.mark.long
def test_users_of_all_ranks_are_enough(pytester: pytest.Pytester) -> None:
    (pytester.path / "mine.yaml").write_text(
        "name: mine\nmodel: tiny-1b\nduration: 0.3\nworkloads: {a: {users_total: 3}}\n"
    )
    pytester.makepyfile(
        """
        def test_run(kvcache):
            assert kvcache.run("a").requests_per_s > 0

        def test_both(kvcache):
            assert kvcache.run("a", num_users=2).requests_per_s > 0
        """
    )
    own = "--mlps-profile=mine.yaml"
    pytester.runpytest(own, *TINY).assert_outcomes(passed=2)
    assert metadata_of(pytester)["parameters"]["num_users"] is None
    sizes = pytester.runpytest_subprocess("--mlps-datasize=json", own, "--mlps-num-processes=2")
    assert json.loads(sizes.stdout.str())["cases"][0]["users_per_rank"] == 2


@pytest.mark.long
def test_all_cases_are_checked_before_the_first_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "def test_workload(kvcache, kvcache_workload): kvcache.run(kvcache_workload)"
    )
    small = "--mlps-set=workloads.3.storage_capacity_gb=0.0001"
    refused = pytester.runpytest(*TINY, small)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["ERROR: *workload 3: an entry of *Raise storage_capacity_gb to*"])
    assert "passed" not in refused.stdout.str()
    pytester.runpytest(*TINY, small, "-k", "[1]", "--mlps-trials=1").assert_outcomes(passed=1)


@pytest.mark.long
def test_shortened_mlperf_is_noted_and_not_valid(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(3)")
    shortened = (
        "--mlps-profile=mlperf",
        "--mlps-set=duration=5",
        "--mlps-trials=1",
        *WITHOUT_PAUSES,
    )
    result = pytester.runpytest("--mlps-profile=mlperf", *shortened, "--mlps-results-dir=results")
    result.assert_outcomes(passed=1)
    differs = "differs from the sanctioned workload: duration, pauses, trials"
    result.stdout.fnmatch_lines([f"note: profile mlperf: {differs}"])
    (path,) = (pytester.path / "results").rglob("summary.json")
    content = json.loads(path.read_text())
    summary, own = content["options"]["3"], content["mlpstorage"]["cases"]["3"]
    assert (own["valid"], own["not_valid_because"]) == (False, [differs])
    assert summary["aggregated_write_bandwidth_gbps"] > 0
    assert summary["cpu_tier_ranks"] == []


@pytest.mark.long
def test_parameters_that_a_test_changes_in_mlperf_are_noted(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(3, lanes=2)")
    shortened = (
        "--mlps-profile=mlperf",
        "--mlps-set=duration=5",
        "--mlps-trials=1",
        *WITHOUT_PAUSES,
    )
    simulated = ("--mlps-set=storage=null", "--mlps-results-dir=results")
    result = pytester.runpytest("--mlps-profile=mlperf", *shortened, *simulated)
    result.stdout.fnmatch_lines(
        ["note: workload 3: differs from the sanctioned workload: max_concurrent_allocs"]
    )


def test_quick_can_be_simulated(pytester: pytest.Pytester) -> None:
    """No time passes in workload 1, whose users do not think."""
    pytester.makepyfile(
        "def test_workload(kvcache, kvcache_workload): kvcache.run(kvcache_workload)"
    )
    simulated = ("--mlps-set=storage=null", "--mlps-results-dir=results", "--mlps-trials=2")
    result = pytester.runpytest(*simulated)
    result.assert_outcomes(passed=3)
    assert result.ret == 0
    assert metadata_of(pytester)["mlpstorage"]["status"] == "passed"
    case = metadata_of(pytester)["mlpstorage"]["metrics"]["1"]
    assert case["requests"] > 0
    assert (case["window_s"], case["requests_per_s"], case["read_gib_s"]) == ([0.0] * 2, None, None)
    result.stdout.fnmatch_lines(["note: workload 1: no time passed in the simulation*"])


def test_unknown_workload_is_refused_with_those_of_the_profile(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(kvcache.workloads[2] + 'x')")
    result = pytester.runpytest(*TINY)
    result.assert_outcomes(failed=1)
    message = "kvcache.run: workload: got '3x'; accepted: workloads of profile quick: 1, 2, 3*"
    result.stdout.fnmatch_lines([f"*{message}"])


def test_result_has_the_name_of_its_workload_or_case(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_own(kvcache): assert kvcache.run(workload="2").workload == "2"

        def test_case(kvcache): assert kvcache.run(3, case="long").workload == "long"
        """
    )
    pytester.runpytest(*TINY).assert_outcomes(passed=2)


@pytest.mark.long
def test_window_without_traffic_fails_with_a_message(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1, think_time_scale=1000.0)")
    result = pytester.runpytest("--mlps-set=duration=0.1", "--mlps-results-dir=results")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [r".*EmptyWindowError: Nothing was read or written within the window.*"]
    )


@pytest.mark.long
def test_window_shorter_than_a_request_still_has_a_bandwidth(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(3, num_users=4, think_time_scale=0.0)")
    result = pytester.runpytest(
        *("--mlps-profile=mlperf", "--mlps-set=duration=0.2", "--mlps-trials=1", *WITHOUT_PAUSES),
        "--mlps-results-dir=results",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["note: workload 3: no request ended within the window of trial 1;*"]
    )
    case = metadata_of(pytester)["mlpstorage"]["metrics"]["3"]
    assert case["requests"] == 0
    assert case["requests_per_s"] == 0.0
    assert case["write_bytes"] > 0


@pytest.mark.long
def test_scenarios_are_skipped_with_comparable_profiles(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.mlps_scenario
        def test_rag(kvcache): kvcache.run(1, case="rag", rag_share=1.0)
        """
    )
    pytester.runpytest("--mlps-profile=mlperf").assert_outcomes(skipped=1)
    pytester.runpytest(*TINY).assert_outcomes(passed=1)
    assert list(metadata_of(pytester)["mlpstorage"]["metrics"]) == ["rag"]


@pytest.mark.long
def test_closed_run_refuses_parameters(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import dataclasses

        def test_run(kvcache):
            kvcache._plan = dataclasses.replace(kvcache._plan, mode="closed")
            kvcache.run(1, phase="prefill", num_users=3)
        """
    )
    result = pytester.runpytest_subprocess(*TINY)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*kvcache.run: got 'phase, num_users'; accepted: no parameters*"])


def test_closed_run_reports_all_locked_settings_together(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_run(kvcache): raise AssertionError")
    result = pytester.runpytest("--mlps-mode=closed", "--mlps-seed=1", "--mlps-set=duration=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    for setting in ("--mlps-seed (given: 1; ", "--mlps-set (given: duration=1; "):
        assert setting in result.stderr.str()


def test_simulated_run_has_a_note(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest(*TINY, "--mlps-set=storage=null")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["note: workload 1: time was simulated, without storage*"])
    metrics = metadata_of(pytester)["mlpstorage"]["metrics"]["1"]
    assert metrics["is_simulated"] == [True, True]
    assert (metrics["cpu_s_per_gib"], metrics["ceiling_ratio"]) == (None, None)
    assert metrics["audit_verdict"] == "not measurable"


@pytest.mark.long
def test_rate_beyond_the_storage_has_a_note(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    settings = ["--mlps-set=arrivals=poisson", "--mlps-set=rate=10000"]
    result = pytester.runpytest(*LONG, "--mlps-set=duration=1", *settings)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["note: workload 1: requests arrived faster than they were served: *"]
    )
    metrics = metadata_of(pytester)["mlpstorage"]["metrics"]["1"]
    assert metrics["unserved"] > 0
    assert metrics["lateness_p95_ms"] > 0


@pytest.mark.long
@pytest.mark.slow
def test_header_of_a_plan_has_the_ranks_that_would_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): pass")
    options = ("--mlps-mode=whatif", "--mlps-cache-dir=cache")
    result = pytester.runpytest(*options, "--mlps-num-processes=2")
    result.stdout.fnmatch_lines(["mlpstorage: 2 ranks, profile quick, mode whatif"])
    unequal = pytester.runpytest(*options, "--mlps-num-processes=3", "--mlps-hosts=a,b")
    assert unequal.ret == pytest.ExitCode.USAGE_ERROR
    unequal.stderr.fnmatch_lines(["*--mlps-num-processes: got 3; accepted: a multiple of *"])
