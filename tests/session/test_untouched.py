"""Sessions without side effects: without the plugin, without MPI, and in mode whatif."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mlpstorage_bench.session.hooks  # noqa: F401 - pytester forgets what its sessions import
from mlpstorage_bench.kvcache.config.profile_file import load_profile
from tests.session.tiny import LONG, TINY, metadata_of
from tests.variants import first_of


def test_session_without_the_plugin_is_unchanged(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_something(benchmark): benchmark(lambda: None)")
    before = set(pytester.path.iterdir())
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    assert "mlpstorage" not in result.stdout.str().replace("mlpstorage-bench-", "")
    assert {p.name for p in set(pytester.path.iterdir()) - before} <= {
        *("__pycache__", ".benchmarks")
    }


def test_session_without_the_plugin_does_not_import_numpy(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("import sys\ndef test_it(): assert 'numpy' not in sys.modules")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "hide",
    first_of("sys.modules['mpi4py'] = None", "os.environ['MPI4PY_LIBMPI'] = '/nowhere/libmpi.so'"),
    ids=["mpi4py not installed", "no MPI library"],
)
def test_one_process_needs_no_mpi(pytester: pytest.Pytester, hide: str) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_run(kvcache, mpi_comm, cluster_info):
            result = kvcache.run(1)
            assert result.read_bytes > 0
            assert cluster_info.num_hosts == 1
            assert mpi_comm.allgather(1) == [1]
            assert "mpi4py.MPI" not in sys.modules
        """
    )
    program = f"import os, sys; {hide}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    result = pytester.run(sys.executable, "-c", program, *TINY)
    assert result.ret == 0
    result.assert_outcomes(passed=1)
    metadata = metadata_of(pytester)
    assert metadata["exec_type"] == metadata["args"]["exec_type"] == "local"


@pytest.mark.long
def test_datasize_prints_sizes_without_running_tests(
    pytester: pytest.Pytester, mount: Callable[[str, str], Path]
) -> None:
    pytester.makeconftest("raise RuntimeError('no conftest takes part')")
    printed = pytester.runpytest_subprocess("--mlps-datasize", "--mlps-profile=mlperf")
    printed.stdout.re_match_lines([r" *case .*", r" *1 +2\.9\d .* 200 .*", r" *3 +7\.\d+ .* 70 .*"])
    printed_json = pytester.runpytest_subprocess(
        "--mlps-datasize=json", *LONG, "--mlps-num-processes=4", "--mlps-hosts=a,b"
    )
    assert printed_json.ret == 0
    report = json.loads(printed_json.stdout.str())
    assert report["ranks_by_host"] == [2, 2]
    case = report["cases"][0]
    assert case["storage_bytes_per_rank"] < case["storage_bytes_per_host"] < case["storage_bytes"]
    assert case["written_bytes_per_rank"] == case["storage_bytes_per_rank"]
    assert case["users_that_fit"] > 0
    small = mount("tmpfs", "size=1m")
    where = f"--mlps-cache-dir={small}"
    refused = pytester.runpytest_subprocess("--mlps-datasize", *LONG, where)
    assert refused.ret == pytest.ExitCode.TESTS_FAILED
    refused.stdout.re_match_lines([r"workload 1: an entry of .* GiB does not fit a capacity of .*"])
    assert list(small.iterdir()) == []
    # as the reference, each leaves a run of its own command, which has no results of tests
    for results, runs in (("mlps-results", 1), ("results", 2)):
        files = [path for path in (pytester.path / results).rglob("*") if path.is_file()]
        assert {path.parents[1].name for path in files} == {"datasize"}
        assert len(files) == 2 * runs


def test_whatif_writes_no_file(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): raise AssertionError")
    result = pytester.runpytest(
        *("--mlps-mode=whatif", "--mlps-hosts=h1:1,h2:1", "--mlps-num-processes=2"),
        *("-p", "no:cacheprovider"),
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "workload 1, *: llama3.1-8b (131072 bytes/token), * users per rank*",
            "command: *mpirun -n 2 -host h1:1,h2:1 --bind-to none --map-by node*",
        ]
    )
    assert "--mlps-mode" not in result.stdout.str().rpartition("\ncommand: ")[2]
    assert not (pytester.path / "mlps-results").exists()
    assert not (pytester.path / "mlps-cache").exists()


def test_whatif_prints_sizes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): raise AssertionError")
    result = pytester.runpytest("--mlps-mode=whatif", *TINY, "-p", "no:cacheprovider")
    assert result.ret == 0
    result.stdout.re_match_lines(
        [r" *case +entry.*", r" *1 +0\.\d+ .* yes", r"GiB, upper limits for one"]
    )
    assert not (pytester.path / "cache").exists()


def test_cache_directory_with_foreign_files_is_refused_and_kept(
    pytester: pytest.Pytester,
) -> None:
    theirs = pytester.mkdir("cache") / "rank_0" / "thesis.tex"
    theirs.parent.mkdir()
    theirs.write_text("years of work")
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest(*TINY, "--mlps-cache-dir=cache")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --mlps-cache-dir: *thesis.tex is not a cache file*"])
    assert theirs.read_text() == "years of work"
    assert list(theirs.parent.iterdir()) == [theirs]


@pytest.mark.long
def test_second_run_in_a_cache_directory_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import subprocess, sys

        def test_second_run_is_refused(kvcache, request):
            command = [sys.executable, "-m", "pytest", "--mlps-cache-dir=cache", "-k", "other"]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 4
            assert "is in use by a running benchmark" in done.stderr
            kvcache.run(1)

        def test_other(kvcache):
            kvcache.run(1)
        """
    )
    result = pytester.runpytest_subprocess(*TINY, "--mlps-cache-dir=cache")
    result.assert_outcomes(passed=2)


def test_quick_profile_keeps_at_most_1_gib_per_rank_and_writes_at_most_5() -> None:
    """Files of a trial are removed before the next one."""
    profile = load_profile("quick")
    limits = [workload.write_limit_gb for workload in profile.workloads.values()]
    assert len(limits) * profile.trials == 9
    assert max(limit for limit in limits if limit) <= 1
    assert profile.trials * sum(limit for limit in limits if limit) <= 5
    assert None not in limits
    assert profile.comparable is False
