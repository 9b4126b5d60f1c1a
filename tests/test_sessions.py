"""Sessions of one process: what a run leaves, what a failure leaves, and what stays untouched."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.kvcache.profile import load_profile

HOST = re.escape(socket.gethostname())
TINY = (
    *("--mlps-set=duration=0.3", "--mlps-set=warmup=0", "--mlps-set=entry_scale=0.001"),
    *("--mlps-set=think_time_scale=0.05", "--mlps-set=calibration=0.05", "--mlps-trials=2"),
    "--mlps-results-dir=results",
)


def metadata_of(pytester: pytest.Pytester) -> dict[str, Any]:
    (path,) = (pytester.path / "results").rglob("*_metadata.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_a_session_that_uses_nothing_of_ours_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_something(benchmark): benchmark(lambda: None)")
    before = set(pytester.path.iterdir())
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    assert "mlpstorage" not in result.stdout.str().replace("mlpstorage-bench-", "")
    assert {p.name for p in set(pytester.path.iterdir()) - before} <= {
        *("__pycache__", ".benchmarks")
    }


def test_a_session_that_uses_nothing_of_ours_does_not_wait_for_numpy(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("import sys\ndef test_it(): assert 'numpy' not in sys.modules")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "hide",
    ["sys.modules['mpi4py'] = None", "os.environ['MPI4PY_LIBMPI'] = '/nowhere/libmpi.so'"],
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
    assert metadata_of(pytester)["exec_type"] == "local"


def test_a_result_has_units_and_its_metrics_go_to_extra_info(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_run(kvcache, benchmark):
            result = kvcache.run("1", num_users=4)
            assert len(result.trials) == 2
            assert result.read_gib_s > 0 < result.write_gib_s
            assert result.latencies.read_p95_ms >= result.latencies.read_p50_ms > 0
            seconds = sum(trial.window_s for trial in result.trials)
            assert result.read_bytes <= result.read_gib_s * 2**30 * seconds * 1.5
            info = benchmark.extra_info
            assert info["read_gib_s"] == result.read_gib_s
            assert info["read_gib_s_min"] <= info["read_gib_s"] <= info["read_gib_s_max"]
            times = [trial.window_s / trial.requests for trial in result.trials]
            assert benchmark.stats.stats.data == pytest.approx(times)
        """
    )
    pytester.runpytest(*TINY).assert_outcomes(passed=1)
    case = metadata_of(pytester)["metrics"]["1"]
    assert case["trials"] == 2


def test_a_test_that_takes_kvcache_option_runs_once_for_each_option(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_option(kvcache, kvcache_option): kvcache.run(kvcache_option)")
    result = pytester.runpytest("--collect-only", "-q")
    result.stdout.fnmatch_lines(["*[[]1]", "*[[]2]", "*[[]3]"])
    assert not (pytester.path / "mlps-results").exists()


def test_a_failed_test_leaves_its_partial_results_and_status(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import threading, time

        def test_file_vanishes(kvcache, mlps_run, request):
            cache = request.config.rootpath / "cache" / "rank_0"
            def remove():
                while True:
                    for path in list(cache.glob("*.kv")):
                        path.unlink(missing_ok=True)
                    time.sleep(0.001)
            original = kvcache._engine.run_trial
            def second_trial_fails(workload, seed, trial, parts):
                if trial == 2:
                    threading.Thread(target=remove, daemon=True).start()
                return original(workload, seed, trial, parts)
            kvcache._engine.run_trial = second_trial_fails
            kvcache.run(1)
        """
    )
    result = pytester.runpytest_subprocess(*TINY, "--mlps-cache-dir=cache")
    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.re_match_lines(
        [rf".*StorageError: rank 0 on {HOST}: (opening|removing|reading) .*\.kv failed.*"]
    )
    metadata = metadata_of(pytester)
    assert metadata["status"] == "failed"
    (test,) = metadata["mlpstorage"]["tests"]
    assert test["outcome"] == "failed"
    assert "StorageError" in test["message"]
    directory = Path(metadata["result_dir"])
    ranks = sorted(str(p.relative_to(directory).parent) for p in directory.glob("option*/*/*/*"))
    assert ranks == ["option_1/trial_1/rank_0"]
    summary = json.loads(next(directory.glob("kvcache_run_summary_*.json")).read_text())
    assert summary["partial_failure"] is True
    assert summary["options"]["1"]["missing_files"] == ["option_1/trial_2/rank_0"]
    assert not (pytester.path / "cache").exists()


def test_corrupted_data_fails_the_test_with_file_and_offset(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import threading, time

        def test_bits_flip(kvcache, request):
            cache = request.config.rootpath / "cache" / "rank_0"
            def flip():
                while True:
                    for path in list(cache.glob("*.kv")):
                        try:
                            with path.open("r+b") as file:
                                file.seek(5000)
                                file.write(b"flipped!")
                        except FileNotFoundError:
                            pass
                    time.sleep(0.005)
            threading.Thread(target=flip, daemon=True).start()
            kvcache.run(1)
        """
    )
    result = pytester.runpytest_subprocess(*TINY, "--mlps-cache-dir=cache")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [
            (
                r".*CorruptReadsError: \d+ reads of trial 1 found other data than was written. "
                rf"The first: rank 0 on {HOST}: verifying .*/user.*\.kv failed: at offset 5000 "
            )
        ]
    )
    metadata = metadata_of(pytester)
    assert metadata["status"] == "failed"
    rank = next(Path(metadata["result_dir"]).glob("option_1/trial_1/rank_0/*.json"))
    kept = json.loads(rank.read_text())["mlpstorage"]
    assert kept["corrupt_reads"] > 0
    assert kept["histograms"]["operations"]


def test_a_disk_that_fills_up_fails_the_run_with_rank_host_and_file(
    pytester: pytest.Pytester, mount: Callable[[str, str], Path]
) -> None:
    small = mount("tmpfs", "size=64m")
    pytester.makepyfile(
        f"""
        import threading, time
        from pathlib import Path

        def test_run(kvcache):
            small = Path({str(small)!r})
            def fill():
                while not list(small.glob("cache/rank_0/user*")):
                    time.sleep(0.001)
                try:
                    with open(small / "others", "wb", buffering=0) as file:
                        while True:
                            file.write(bytes(1 << 16))
                except OSError:
                    pass
            threading.Thread(target=fill, daemon=True).start()
            kvcache.run(1)
        """
    )
    result = pytester.runpytest_subprocess(
        *TINY, "--mlps-set=duration=60", f"--mlps-cache-dir={small / 'cache'}"
    )
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [
            (
                rf".*StorageError: rank 0 on {HOST}: writing {small}/cache/rank_0/user.*\.kv "
                r"failed: at offset \d+: No space left on device \(ENOSPC\).*"
                "lower storage_capacity_gb"
            )
        ]
    )
    metadata = metadata_of(pytester)
    assert metadata["status"] == "failed"
    assert "(ENOSPC)" in metadata["mlpstorage"]["tests"][0]["message"]
    assert [path.name for path in small.iterdir()] == ["others"]


def test_what_cannot_fit_is_refused_before_anything_is_written(
    pytester: pytest.Pytester, mount: Callable[[str, str], Path]
) -> None:
    small = mount("tmpfs", "size=4m")
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1, storage_capacity_gb=1.0)")
    result = pytester.runpytest(*TINY, f"--mlps-cache-dir={small / 'cache'}")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [rf".*CapacityError: rank 0 on {HOST}: This run does not fit: storage: up to .* GiB, of .*"]
    )


def test_a_run_that_stays_in_memory_is_marked_and_in_closed_mode_has_failed(
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
    untouched = "no entry reached the storage tier: memory alone was measured"
    result.stdout.fnmatch_lines([f"*UntouchedStorageError: option 2: {untouched}"])
    result.stdout.fnmatch_lines([f"note: option 1: {untouched}"])


def test_sizes_are_told_without_running_anything(
    pytester: pytest.Pytester, mount: Callable[[str, str], Path]
) -> None:
    pytester.makeconftest("raise RuntimeError('no conftest takes part')")
    told = pytester.runpytest_subprocess("--mlps-datasize", "--mlps-profile=mlperf")
    told.stdout.re_match_lines([r" *case .*", r" *1 +2\.9\d .* 200 .*", r" *3 +7\.\d+ .* 70 .*"])
    json_told = pytester.runpytest_subprocess(
        "--mlps-datasize=json", *TINY, "--mlps-num-processes=4", "--mlps-hosts=a,b"
    )
    assert json_told.ret == 0
    report = json.loads(json_told.stdout.str())
    assert report["ranks_by_host"] == [2, 2]
    case = report["cases"][0]
    assert case["storage_bytes_per_rank"] < case["storage_bytes_per_host"] < case["storage_bytes"]
    assert case["written_bytes_per_rank"] == case["storage_bytes_per_rank"]
    assert case["users_that_fit"] > 0
    small = mount("tmpfs", "size=1m")
    where = f"--mlps-cache-dir={small}"
    refused = pytester.runpytest_subprocess("--mlps-datasize", *TINY, where)
    assert refused.ret == pytest.ExitCode.TESTS_FAILED
    refused.stdout.re_match_lines([r"option 1: an entry of .* GiB does not fit a capacity of .*"])
    assert list(small.iterdir()) == []
    assert not (pytester.path / "mlps-results").exists()


@pytest.mark.parametrize("layout", ["entry", "block", "slab"])
def test_what_limits_and_what_was_proved_is_in_the_metrics(
    pytester: pytest.Pytester, layout: str
) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    settings = [f"--mlps-set={setting}" for setting in (f"layout={layout}", "tokens_per_block=16")]
    result = pytester.runpytest(*TINY, *settings, "--mlps-cache-dir=cache")
    result.assert_outcomes(passed=1)
    metrics = metadata_of(pytester)["metrics"]["1"]
    assert metrics["verified_reads"] > 0
    assert metrics["corrupt_reads"] == 0
    assert metrics["bound"] in ("storage-bound", "harness-bound", "load-bound")
    assert metrics["ceiling_ratio"] > 0
    assert metrics["peak_rss_bytes"] > 0
    assert metrics["cpu_s_per_gib"] > 0
    assert metrics["cut_off_operations"] >= 0
    assert metrics["audit_verdict"] in ("ok", "not measurable", "foreign traffic")
    assert not (pytester.path / "cache").exists()


def test_direct_io_that_is_asked_for_and_missing_is_refused(
    pytester: pytest.Pytester, mount: Callable[[str, str], Path]
) -> None:
    ramfs = mount("ramfs", "rw")
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1, storage_capacity_gb=0.2)")
    where = f"--mlps-cache-dir={ramfs / 'cache'}"
    result = pytester.runpytest(*TINY, where, "--mlps-set=io_mode=direct")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*io_mode: got 'direct'; accepted: buffered, or a filesystem*"])


def test_promises_to_classes_of_requests_are_assertions(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.mlps_slo("batch", p95_ms=1e6)
        def test_is_kept(kvcache): kvcache.run(1)

        @pytest.mark.mlps_slo("batch", p95_ms=0.001)
        def test_is_broken(kvcache): kvcache.run(2)

        def test_of_the_profile(kvcache): kvcache.run(3)

        @pytest.mark.mlps_slo("urgent", p95_ms=1)
        def test_is_unknown(kvcache): kvcache.run(1)
        """
    )
    promise = "--mlps-set=options.3.slos={batch: {p50_ms: 0.001}}"
    result = pytester.runpytest(*TINY, promise, "--strict-markers", "--mlps-cache-dir=cache")
    result.assert_outcomes(passed=1, failed=2, errors=2)
    result.stdout.re_match_lines(
        [
            r".*SloError: option 2 broke its promises: batch: p95_ms is .*, at most 0.001 was.*",
            r".*SloError: option 3 broke its promises: batch: p50_ms is .*, at most 0.001 was.*",
        ]
    )
    metrics = metadata_of(pytester)["metrics"]
    assert metrics["2"]["qos"]["batch"]["requests"] > 0
    assert metrics["2"]["qos"]["batch"]["target_p95_ms"] == 1000


def test_an_interrupted_session_is_recorded_as_such(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_stops(mlps_run): raise KeyboardInterrupt")
    result = pytester.runpytest_subprocess("--mlps-results-dir=results")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert metadata_of(pytester)["status"] == "interrupted"


def test_what_tests_record_is_in_the_metadata(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from mlpstorage_bench.errors import InvalidInputError

        def test_records(mlps_run):
            mlps_run.record("replay_gib_s", 1.5)
            assert mlps_run.directory.is_dir()
            assert mlps_run.metadata["status"] == "running"
            assert mlps_run.metadata["metrics"] == {"recorded": {"replay_gib_s": 1.5}}
            with pytest.raises(InvalidInputError, match="mlps_run.record: got '../x'"):
                mlps_run.record("../x", 1)
            with pytest.raises(InvalidInputError, match="what JSON can hold"):
                mlps_run.record("x", float("nan"))
        """
    )
    pytester.runpytest("--mlps-results-dir=results").assert_outcomes(passed=1)
    assert metadata_of(pytester)["metrics"]["recorded"] == {"replay_gib_s": 1.5}


def test_the_same_option_in_two_tests_makes_two_cases(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_few(kvcache): kvcache.run(1, num_users=2)
        def test_many(kvcache): kvcache.run(1, num_users=6)
        """
    )
    pytester.runpytest(*TINY).assert_outcomes(passed=2)
    metadata = metadata_of(pytester)
    assert list(metadata["metrics"]) == ["1", "1-test_many"]


def test_what_the_user_set_stands_above_what_a_test_says(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_parameters(kvcache):
            assert kvcache.workload(1, duration=99, num_users=3).duration == 0.3
            assert kvcache.workload(1, duration=99, num_users=3).num_users == 3
            assert kvcache.run(1, duration=99).trials[0].window_s < 1
        """
    )
    pytester.runpytest(*TINY).assert_outcomes(passed=1)


def test_a_window_in_which_nothing_moved_fails_and_says_so(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1, think_time_scale=1000.0)")
    result = pytester.runpytest("--mlps-set=duration=0.1", "--mlps-results-dir=results")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [r".*EmptyWindowError: Nothing was read or written within the window.*"]
    )


def test_a_window_too_short_for_a_request_still_tells_its_bandwidth(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(3, num_users=4, think_time_scale=0.0)")
    result = pytester.runpytest(
        *("--mlps-profile=mlperf", "--mlps-set=duration=0.2", "--mlps-trials=1"),
        "--mlps-results-dir=results",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["note: option 3: no request ended within the window of trial 1;*"])
    case = metadata_of(pytester)["metrics"]["3"]
    assert case["requests"] == 0
    assert case["requests_per_s"] == 0.0
    assert case["write_bytes"] > 0


def test_pytest_benchmarks_own_json_can_be_converted_offline(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    pytester.runpytest(*TINY, "--benchmark-json=own.json").assert_outcomes(passed=1)
    first = metadata_of(pytester)
    result = pytester.runpytest_subprocess("--mlps-convert=own.json", "--mlps-results-dir=again")
    assert result.ret == 0
    (path,) = (pytester.path / "again").rglob("*_metadata.json")
    second = json.loads(path.read_text())
    assert second["metrics"] == first["metrics"]
    assert second["status"] == "passed"
    assert result.outlines[-1] == str(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("{", "Expecting property name"),
        ("[1]", "It has no list 'benchmarks'"),
        ('{"benchmarks": []}', "It has no 'mlpstorage' record"),
        ('{"benchmarks": [], "mlpstorage": {"run_id": "x"}}', "Field required"),
    ],
)
def test_a_file_that_cannot_be_converted_is_a_usage_error(
    pytester: pytest.Pytester, content: str | None, message: str
) -> None:
    if content is not None:
        (pytester.path / "x.json").write_text(content)
    result = pytester.runpytest_subprocess("--mlps-convert=x.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --mlps-convert: got 'x.json'*{message}*"])


def test_reports_are_written_in_the_format_of_their_names(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest(*TINY, "--mlps-report=r.md", "--mlps-report=r.html")
    result.stdout.fnmatch_lines(["report: *r.md", "report: *r.html"])
    run_id = metadata_of(pytester)["mlpstorage"]["run_id"]
    assert f"# kv_cache run {run_id}: passed" in (pytester.path / "r.md").read_text()
    assert f"<h1>kv_cache run {run_id}: passed</h1>" in (pytester.path / "r.html").read_text()


def test_whatif_touches_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): raise AssertionError")
    result = pytester.runpytest(
        *("--mlps-mode=whatif", "--mlps-hosts=h1:4,h2:4", "--mlps-num-processes=8"),
        *("--mlps-profile=mlperf", "-p", "no:cacheprovider"),
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "option 1, Max Storage Stress: llama3.1-8b (131072 bytes/token), 200 users per rank*",
            "command: *mpirun -n 8 -host h1:4,h2:4 --bind-to none --map-by node*",
        ]
    )
    assert "--mlps-mode" not in result.stdout.str().rpartition("\ncommand: ")[2]
    assert not (pytester.path / "mlps-results").exists()
    assert not (pytester.path / "mlps-cache").exists()


def test_whatif_tells_sizes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): raise AssertionError")
    result = pytester.runpytest("--mlps-mode=whatif", *TINY, "-p", "no:cacheprovider")
    assert result.ret == 0
    result.stdout.re_match_lines(
        [r" *case +entry.*", r" *1 +0\.\d+ .* yes", r"GiB, at most, of one"]
    )
    assert not (pytester.path / "cache").exists()


def test_scenarios_are_left_out_where_results_are_to_be_compared(
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
    assert list(metadata_of(pytester)["metrics"]) == ["rag"]


def test_a_closed_run_takes_no_parameters(pytester: pytest.Pytester) -> None:
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


def test_a_run_without_storage_says_so(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest(*TINY, "--mlps-set=storage=null")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["note: option 1: no storage was there, and time was simulated*"])
    metrics = metadata_of(pytester)["metrics"]["1"]
    assert metrics["is_simulated"] == [True, True]
    assert (metrics["cpu_s_per_gib"], metrics["ceiling_ratio"]) == (None, None)
    assert metrics["audit_verdict"] == "not measurable"


def test_a_rate_that_storage_cannot_keep_up_with_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    settings = ["--mlps-set=arrivals=poisson", "--mlps-set=rate=10000"]
    result = pytester.runpytest(*TINY, *settings)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["note: option 1: requests came faster than they were served: *"])
    metrics = metadata_of(pytester)["metrics"]["1"]
    assert metrics["unserved"] > 0
    assert metrics["lateness_p95_ms"] > 0


def test_a_trace_of_each_trial_and_an_fio_job_of_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest(
        *TINY, "--mlps-trials=2", "--mlps-set=trace_out=t.csv.zst", "--mlps-set=requests=20"
    )
    result.assert_outcomes(passed=1)
    names = sorted(path.name for path in pytester.path.glob("t.*"))
    assert names == ["t.option_1.trial_1.csv.zst", "t.option_1.trial_2.csv.zst"]
    told = pytester.runpytest_subprocess(f"--mlps-fio-job={names[0]}")
    assert told.ret == 0
    told.stdout.fnmatch_lines(["; distilled from t.option_1.trial_1.csv.zst", "rw=randrw:*"])
    refused = pytester.runpytest_subprocess("--mlps-fio-job=nowhere.csv")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*trace that can be read*"])


def test_a_closed_run_refuses_everything_that_is_locked_at_once(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_run(kvcache): raise AssertionError")
    result = pytester.runpytest("--mlps-mode=closed", "--mlps-seed=1", "--mlps-set=duration=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    for setting in ("--mlps-seed", "--mlps-set", "--mlps-cache-dir and --mlps-results-dir"):
        assert setting in result.stderr.str()


def test_with_benchmarks_disabled_each_case_runs_once_and_is_recorded(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    pytester.runpytest(*TINY, "--benchmark-disable").assert_outcomes(passed=1)
    assert metadata_of(pytester)["metrics"]["1"]["trials"] == 1


def test_results_that_cannot_be_written_are_a_usage_error(pytester: pytest.Pytester) -> None:
    (pytester.path / "results").write_text("a file")
    pytester.makepyfile("def test_run(mlps_run): pass")
    result = pytester.runpytest("--mlps-results-dir=results")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --mlps-results-dir: got *Not a directory*"])


def test_a_run_without_pytest_benchmark_is_a_usage_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(mlps_run): pass")
    result = pytester.runpytest_subprocess("-p", "no:benchmark")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: A run needs pytest-benchmark*"])


def test_a_cache_directory_with_files_of_somebody_else_is_refused_and_kept(
    pytester: pytest.Pytester,
) -> None:
    theirs = pytester.mkdir("cache") / "rank_0" / "thesis.tex"
    theirs.parent.mkdir()
    theirs.write_text("years of work")
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest(*TINY, "--mlps-cache-dir=cache")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --mlps-cache-dir: *thesis.tex is none of our files*"])
    assert theirs.read_text() == "years of work"
    assert list(theirs.parent.iterdir()) == [theirs]


def test_two_runs_do_not_share_a_cache_directory(pytester: pytest.Pytester) -> None:
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


def test_the_command_is_printed_before_anything_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(mlps_run): pass")
    result = pytester.runpytest_subprocess("--mlps-results-dir=results")
    result.stdout.fnmatch_lines(["mlpstorage: command: pytest *", "*1 passed*"])


def test_a_filesystem_without_direct_io_is_used_buffered_and_said_so(
    pytester: pytest.Pytester, mount: Callable[[str, str], Path]
) -> None:
    ramfs = mount("ramfs", "rw")
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    where = f"--mlps-cache-dir={ramfs / 'cache'}"
    refused = pytester.runpytest(*TINY, where, "--mlps-results-dir=refused")
    refused.stdout.re_match_lines([r".*storage_capacity_gb: got None; accepted: a size in GiB.*"])
    result = pytester.runpytest(*TINY, where, "--mlps-set=storage_capacity_gb=0.2")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["mlpstorage: note: no direct I/O in */ramfs/cache: *"])
    metadata = metadata_of(pytester)
    assert any("no direct I/O" in note for note in metadata["mlpstorage"]["notes"])
    rank = next(Path(metadata["result_dir"]).glob("option_1/trial_1/rank_0/*.json"))
    assert json.loads(rank.read_text())["mlpstorage"]["io_mode"] == "buffered"
    assert metadata["metrics"]["1"]["audit_verdict"] == "not measurable"


def test_results_that_do_not_fit_their_disk_fail_the_session_and_are_still_shown(
    pytester: pytest.Pytester, mount: Callable[[str, str], Path]
) -> None:
    small_tmpfs = mount("tmpfs", "size=64k")
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest(
        *TINY, f"--mlps-results-dir={small_tmpfs}", "--mlps-cache-dir=cache"
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["ERROR: results cannot be written: */tmpfs/*: No space left on device*", " 1 *"]
    )
    assert not (pytester.path / "cache").exists()
    assert not list(small_tmpfs.rglob(".*"))


def test_extra_info_that_json_does_not_know_loses_no_results(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pathlib

        def test_run(kvcache, benchmark):
            kvcache.run(1)
            benchmark.extra_info["where"] = pathlib.Path("/x")
            benchmark.extra_info["ratio"] = float("nan")
        """
    )
    pytester.runpytest(*TINY).assert_outcomes(passed=1)
    document = json.loads(next(pytester.path.rglob("pytest_benchmark_*.json")).read_text())
    info = document["benchmarks"][0]["extra_info"]
    assert (info["where"], info["ratio"]) == ("UNSERIALIZABLE[PosixPath('/x')]", None)


def test_the_quick_profile_writes_at_most_2_gib_per_rank() -> None:
    profile = load_profile("quick")
    limits = [option.write_limit_gb for option in profile.options.values()]
    assert len(limits) * profile.trials == 9
    assert profile.trials * sum(limit for limit in limits if limit) <= 2
    assert None not in limits
    assert profile.comparable is False
