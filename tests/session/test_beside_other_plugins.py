"""Sessions with other plugins of pytest: timeouts, workers, reruns, random order, failing hooks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.session.tiny import TINY, metadata_of
from tests.variants import first_of

RunRanks = Callable[..., pytest.RunResult]
ONE_TRIAL = (*TINY, "--mlps-trials=1", "--mlps-set=calibration=0")


def turn_on(monkeypatch: pytest.MonkeyPatch, plugin: str) -> None:
    """Let the sessions of a test load a plugin that others leave out."""
    addopts = os.environ["PYTEST_ADDOPTS"]
    assert f"-p no:{plugin}" in addopts
    monkeypatch.setenv("PYTEST_ADDOPTS", addopts.replace(f"-p no:{plugin}", ""))


def outcomes(metadata: dict[str, Any]) -> dict[str, str]:
    """Return the outcome of each test, by its name."""
    tests = metadata["mlpstorage"]["tests"]
    return {test["test"].rpartition("::")[2]: test["outcome"] for test in tests}


@pytest.mark.long
@pytest.mark.slow
def test_timeout_in_a_trial_fails_its_test_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn_on(monkeypatch, "timeout")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.timeout(2, method="signal")
        def test_too_long(kvcache):
            kvcache.run(1)

        def test_after(kvcache):
            kvcache.run(2)
        """
    )
    long = [
        f"--mlps-set=workloads.1.{setting}"
        for setting in (
            "requests=1000000",
            "duration=600",
            "write_limit_gb=1000",
            "storage_capacity_gb=0.2",
        )
    ]
    result = pytester.runpytest_subprocess(*ONE_TRIAL, *long, "--benchmark-json=own.json")
    result.assert_outcomes(failed=1, passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "INTERNALERROR" not in result.stdout.str()
    metadata = metadata_of(pytester)
    assert metadata["mlpstorage"]["status"] == "failed"
    assert "Timeout" in metadata["mlpstorage"]["tests"][0]["message"]
    assert metadata["mlpstorage"]["metrics"]["1"] is None
    assert metadata["mlpstorage"]["metrics"]["2"]["trials"] == 1
    own = json.loads((pytester.path / "own.json").read_text())
    assert [benchmark["name"] for benchmark in own["benchmarks"]] == ["test_after"]


@pytest.mark.long
@pytest.mark.slow
def test_run_in_a_worker_fails_with_the_reason(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_unmarked(kvcache): kvcache.run(1)

        @pytest.mark.mlps_scenario
        def test_scenario(kvcache): kvcache.run(1)

        @pytest.mark.mlps_slo("batch", p95_ms=1)
        def test_with_objective(mlps_run, kvcache): pass

        def test_of_a_project(mpi_comm): assert mpi_comm.size == 1
        """
    )
    result = pytester.runpytest_subprocess("-n2", "-Werror", "--mlps-results-dir=results")
    result.assert_outcomes(errors=3, passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in text
    assert "kvcache: workers of pytest-xdist would disturb each other's measurements" in text
    assert "mlps_run: workers of pytest-xdist" in text
    assert not (pytester.path / "results").exists()


@pytest.mark.long
@pytest.mark.slow
def test_last_attempt_of_a_repeated_test_is_its_case(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn_on(monkeypatch, "rerunfailures")
    pytester.makepyfile(
        """
        import itertools

        attempts = itertools.count()

        def test_flaky(kvcache, benchmark):
            benchmark.extra_info["attempt"] = attempt = next(attempts)
            kvcache.run(1)
            assert attempt == 1, "not yet"
        """
    )
    result = pytester.runpytest_subprocess(*ONE_TRIAL, "--reruns=2", "--benchmark-json=own.json")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1)
    assert "1 rerun" in result.stdout.str()
    metadata = metadata_of(pytester)
    assert (metadata["mlpstorage"]["status"], metadata["mlpstorage"]["exit_status"]) == (
        "passed",
        0,
    )
    assert list(metadata["mlpstorage"]["metrics"]) == ["1"]
    assert outcomes(metadata) == {"test_flaky": "passed"}
    (note,) = [note for note in metadata["mlpstorage"]["notes"] if "ran again" in note]
    assert note.endswith("the one before failed: AssertionError: not yet")
    directory = Path(metadata["result_dir"])
    for path in (pytester.path / "own.json", *directory.glob("pytest_benchmark_*.json")):
        (benchmark,) = json.loads(path.read_text())["benchmarks"]
        assert benchmark["extra_info"]["attempt"] == 1


@pytest.mark.long
def test_test_that_fails_in_each_attempt_has_failed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn_on(monkeypatch, "rerunfailures")
    pytester.makepyfile("def test_fails(mlps_run): assert 0\ndef test_passes(mlps_run): pass")
    result = pytester.runpytest_subprocess("--reruns=1", "--mlps-results-dir=results")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    metadata = metadata_of(pytester)
    assert metadata["mlpstorage"]["status"] == "failed"
    assert outcomes(metadata) == {"test_fails": "failed", "test_passes": "passed"}


@pytest.mark.long
def test_session_that_sets_up_fixtures_alone_leaves_no_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_a(kvcache): pass\ndef test_b(mlps_run, mpi_comm): pass")
    result = pytester.runpytest_subprocess("--setup-only", "--mlps-results-dir=results")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(skipped=2)
    assert not (pytester.path / "results").exists()


LATE_FAILURES = {
    "sessionfinish": ("def pytest_sessionfinish(): raise OSError('no mail')", 1),
    "sessionfinish exits": (
        "import pytest\ndef pytest_sessionfinish(): pytest.exit('no mail', returncode=7)",
        7,
    ),
    "summary": ("def pytest_terminal_summary(): raise OSError('no mail')", 1),
    "unconfigure": ("def pytest_unconfigure(): raise OSError('no mail')", 1),
    "status": ("def pytest_sessionfinish(session): session.exitstatus = 5", 5),
}


@pytest.mark.long
@pytest.mark.parametrize(
    ("conftest", "status"), first_of(*LATE_FAILURES.values()), ids=LATE_FAILURES
)
def test_hook_that_fails_at_the_end_is_in_the_status(
    pytester: pytest.Pytester, conftest: str, status: int
) -> None:
    pytester.makeconftest(conftest)
    pytester.makepyfile("def test_it(mlps_run): pass")
    result = pytester.runpytest_subprocess("--mlps-results-dir=results")
    assert result.ret == status
    text = result.stdout.str() + result.stderr.str()
    assert text.count("OSError: no mail") <= 1
    metadata = metadata_of(pytester)
    assert (metadata["mlpstorage"]["status"], metadata["mlpstorage"]["exit_status"]) == (
        "failed",
        status,
    )
    assert "the session's end failed" in str(metadata["mlpstorage"]["notes"])


@pytest.mark.long
@pytest.mark.launches_mpi
def test_ranks_have_their_own_directories_in_basetemp(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("name", ["a", "b"])
        def test_files_stay(tmp_path, mpi_comm, name):
            file = tmp_path / name
            file.write_text("here")
            mpi_comm.barrier()
            assert file.read_text() == "here"
            assert f"base/rank_{mpi_comm.rank}/test_files_stay" in str(tmp_path)
        """
    )
    for mode in ("on", "auto"):
        result = run_ranks(2, "--basetemp=base", "-o", f"mlps_mpi={mode}")
        result.assert_outcomes(passed=2)


@pytest.mark.long
@pytest.mark.slow
def test_plugins_that_are_loaded_by_their_modules_measure(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    modules = ("-p", "mlpstorage_bench.plugin", "-p", "pytest_benchmark.plugin")
    pytester.runpytest_subprocess(*modules, *ONE_TRIAL).assert_outcomes(passed=1)
    assert metadata_of(pytester)["mlpstorage"]["metrics"]["1"]["trials"] == 1


@pytest.mark.launches_mpi
def test_ranks_run_tests_in_one_random_order_with_one_seed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, run_ranks: RunRanks
) -> None:
    turn_on(monkeypatch, "randomly")
    pytester.makepyfile(
        """
        import random
        import pytest

        @pytest.mark.parametrize("number", range(12))
        def test_it(mpi_comm, number):
            assert len(set(mpi_comm.allgather((number, random.random())))) == 1
        """
    )
    result = run_ranks(2)
    result.assert_outcomes(passed=12)
    result.stdout.fnmatch_lines(["ranks collected the tests in different orders*"])


@pytest.mark.long
@pytest.mark.slow
def test_profiled_trial_is_not_in_the_results(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_run(kvcache, benchmark):
            result = kvcache.run(1, trace_out="trace.csv")
            assert len(result.trials) == 1
            assert benchmark.stats.stats.rounds == 1
        """
    )
    result = pytester.runpytest_subprocess(*ONE_TRIAL, "--benchmark-cprofile=tottime")
    result.assert_outcomes(passed=1)
    assert "run_unrecorded" in result.stdout.str()
    metadata = metadata_of(pytester)
    assert metadata["mlpstorage"]["metrics"]["1"]["trials"] == 1
    assert "one more trial ran under --benchmark-cprofile" in str(metadata["mlpstorage"]["notes"])
    assert [path.name for path in pytester.path.glob("trace*")] == ["trace.workload_1.csv"]


@pytest.mark.long
@pytest.mark.slow
def test_second_run_in_a_test_is_refused_and_makes_no_case(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_two(kvcache):
            kvcache.run(1)
            kvcache.run(2)

        def test_beside_own_benchmark(kvcache, benchmark):
            benchmark.pedantic(lambda: None)
            kvcache.run(2)
        """
    )
    result = pytester.runpytest_subprocess(*ONE_TRIAL)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*InvalidInputError: kvcache.run: got 'a second measurement in one test'; accepted: one*"]
    )
    assert list(metadata_of(pytester)["mlpstorage"]["metrics"]) == ["1"]
