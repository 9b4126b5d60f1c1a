"""Failures of storage and results in a session of one process, and its partial results."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mounts import make_ext4
from tests.session.tiny import LONG, TINY, metadata_of

HOST = re.escape(socket.gethostname())


@pytest.mark.long
def test_failed_test_leaves_its_partial_results_and_status(pytester: pytest.Pytester) -> None:
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
    assert metadata["mlpstorage"]["status"] == "failed"
    (test,) = metadata["mlpstorage"]["tests"]
    assert test["outcome"] == "failed"
    assert "StorageError" in test["message"]
    directory = Path(metadata["result_dir"])
    ranks = sorted(str(p.relative_to(directory).parent) for p in directory.glob("option*/*/*/*"))
    assert ranks == ["option_1/trial_0/rank_0"]
    summary = json.loads(next(directory.glob("summary.json")).read_text())
    assert summary["partial_failure"] is True
    assert summary["options"]["1"]["missing_files"] == [str(directory / "option_1/trial_1/rank_0")]
    assert summary["trial_failures"] == {"1": [{"trial": 1, "exit_code": 1, "stderr_log": None}]}
    case = metadata["mlpstorage"]["cases"]["1"]
    assert [trial["trial"] for trial in case["trials"]] == [1], "a mean or gate would have it"
    failed = case["failed_trial"]
    assert (failed["trial"], ".kv failed" in failed["failure"]) == (2, True)
    assert failed["metrics"]["write_bytes"] > 0
    assert any("trial 2 failed after" in note for note in metadata["mlpstorage"]["notes"])
    document = json.loads(next(directory.glob("*benchmark*.json")).read_text())
    (kept,) = document["mlpstorage"]["untimed_cases"]
    assert kept["failed_trial"]["metrics"]["closed_by"] == "failure"
    assert kept["failed_trial"]["ranks"][0]["mlpstorage"]["histograms"]["operations"]
    assert not (pytester.path / "cache").exists()


@pytest.mark.long
def test_corrupted_data_fails_the_test_with_file_and_offset(pytester: pytest.Pytester) -> None:
    # A page may be changed, and written back, before its chunk is: then it is zeros from 4096 on.
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
            kvcache.run(1, chunks_in_flight=1)
        """
    )
    result = pytester.runpytest_subprocess(*TINY, "--mlps-cache-dir=cache")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [
            (
                r".*CorruptReadsError: \d+ reads of trial 1 found other data than was written. "
                rf"The first: rank 0 on {HOST}: verifying .*/[0-9a-f]{{32}}\.kv "
                "failed: at offset (4096|5000) "
            )
        ]
    )
    metadata = metadata_of(pytester)
    assert metadata["mlpstorage"]["status"] == "failed"
    rank = next(Path(metadata["result_dir"]).glob("option_1/trial_0/rank_0/*.json"))
    kept = json.loads(rank.read_text())["mlpstorage"]
    assert kept["corrupt_reads"] > 0
    assert kept["histograms"]["operations"]


@pytest.mark.long
def test_full_disk_during_a_run_fails_it_with_rank_host_and_file(
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
                while not list(small.glob("cache/rank_0/[0-9a-f]*.kv")):
                    time.sleep(0.001)
                try:
                    with open(small / "others", "wb", buffering=0) as file:
                        while True:
                            file.write(bytes(1 << 16))
                except OSError:
                    pass
            threading.Thread(target=fill, daemon=True).start()
            kvcache.run(1, chunks_in_flight=1)
        """
    )
    result = pytester.runpytest_subprocess(*LONG, f"--mlps-cache-dir={small / 'cache'}")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [
            (
                rf".*StorageError: rank 0 on {HOST}: (writing|preallocating) {small}/cache/rank_0/"
                r"[0-9a-f]{32}\.kv failed: (at offset \d+: )?No space left on device \(ENOSPC\).*"
                "free space there, .* --mlps-datasize says what the run needs"
            )
        ]
    )
    metadata = metadata_of(pytester)
    assert metadata["mlpstorage"]["status"] == "failed"
    assert "(ENOSPC)" in metadata["mlpstorage"]["tests"][0]["message"]
    assert [path.name for path in small.iterdir()] == ["others"]


DAMAGES = {
    "a file is cut short": """
            for path in cache.glob("[0-9a-f]*.kv"):
                os.truncate(path, 4096)
    """,
    "its directory vanishes": """
            shutil.rmtree(cache, ignore_errors=True)
    """,
    "a filesystem becomes read-only": """
            subprocess.run(["/bin/mount", "-o", "remount,abort", cache.parent.parent], check=True)
            time.sleep(60)
    """,
}


@pytest.mark.long
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            "a file is cut short",
            # not at 4096: writes in flight at that moment lengthen it again
            r"reading \S+/[0-9a-f]{32}\.kv failed: the file ends at offset \d+; ",
        ),
        pytest.param(
            "its directory vanishes",
            r"(creating|opening) \S+/[0-9a-f]{32}\.kv failed: .*\(ENOENT\)",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "a filesystem becomes read-only",
            r"\w+ing \S+/[0-9a-f]{32}\.kv failed: .*\(EROFS\)",
            marks=pytest.mark.long,
        ),
    ],
)
def test_storage_failure_during_a_run_fails_it_with_rank_host_and_file(
    pytester: pytest.Pytester, mount: Callable[[str, str], Path], damage: str, message: str
) -> None:
    folder, image = pytester.path, pytester.path / "image"
    if "filesystem" in damage:
        make_ext4(image)
        folder = mount("ext4", f"loop {image}")
    pytester.makepyfile(
        f"""
        import os, shutil, subprocess, threading, time
        from pathlib import Path

        cache = Path({str(folder)!r}) / "cache" / "rank_0"

        def damage_later():
            while len(list(cache.glob("[0-9a-f]*.kv"))) < 40:
                time.sleep(0.001)
            while True:
                try:
                    damage()
                except FileNotFoundError:
                    pass
                time.sleep(0.001)

        def damage():
            {DAMAGES[damage].strip()}

        def test_run(kvcache):
            threading.Thread(target=damage_later, daemon=True).start()
            kvcache.run(1, num_users=4)
        """
    )
    result = pytester.runpytest_subprocess(
        *(*LONG, "--mlps-set=write_limit_gb=50"),
        *("--mlps-trials=1", f"--mlps-cache-dir={folder / 'cache'}"),
    )
    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.re_match_lines([rf".*StorageError: rank 0 on {HOST}: {message}"])
    metadata = metadata_of(pytester)
    assert metadata["mlpstorage"]["status"] == "failed"
    failed = metadata["mlpstorage"]["cases"]["1"]["failed_trial"]
    assert failed["metrics"]["read_bytes"] + failed["metrics"]["write_bytes"] > 0


def test_workload_beyond_the_free_space_is_refused_before_any_write(
    pytester: pytest.Pytester, mount: Callable[[str, str], Path]
) -> None:
    small = mount("tmpfs", "size=4m")
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1, storage_capacity_gb=1.0)")
    result = pytester.runpytest(*TINY, f"--mlps-cache-dir={small / 'cache'}")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [rf".*CapacityError: rank 0 on {HOST}: This run does not fit: storage: up to .* GiB, .*"]
    )


def test_unavailable_direct_io_is_refused_if_requested(
    pytester: pytest.Pytester, mount: Callable[[str, str], Path]
) -> None:
    ramfs = mount("ramfs", "rw")
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1, storage_capacity_gb=0.2)")
    where = f"--mlps-cache-dir={ramfs / 'cache'}"
    result = pytester.runpytest(*TINY, where, "--mlps-set=io_mode=direct")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*io_mode: got 'direct'; accepted: buffered, or a filesystem*"])
    result.stdout.fnmatch_lines([f"storage: {ramfs}/cache: ramfs on none, mounted at {ramfs}"])


def test_filesystem_without_direct_io_is_used_buffered_with_a_note(
    pytester: pytest.Pytester, mount: Callable[[str, str], Path]
) -> None:
    ramfs = mount("ramfs", "rw")
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    where = f"--mlps-cache-dir={ramfs / 'cache'}"
    refused = pytester.runpytest(*TINY, where, "--mlps-results-dir=refused")
    refused.stdout.re_match_lines([r".*storage_capacity_gb: got None; accepted: a size in GiB.*"])
    result = pytester.runpytest(*TINY, where, "--mlps-set=storage_capacity_gb=0.2")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["mlpstorage: note: no direct I/O in */ramfs/cache (*): *"])
    metadata = metadata_of(pytester)
    assert any("no direct I/O" in note for note in metadata["mlpstorage"]["notes"])
    rank = next(Path(metadata["result_dir"]).glob("option_1/trial_0/rank_0/*.json"))
    assert json.loads(rank.read_text())["mlpstorage"]["io_mode"] == "buffered"
    assert metadata["mlpstorage"]["metrics"]["1"]["audit_verdict"] == "in memory"


def test_unwritable_results_directory_is_a_usage_error(pytester: pytest.Pytester) -> None:
    (pytester.path / "results").write_text("a file")
    pytester.makepyfile("def test_run(mlps_run): pass")
    result = pytester.runpytest("--mlps-results-dir=results")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --mlps-results-dir: got *Not a directory*"])


def test_results_beyond_the_free_space_fail_the_session_and_are_shown(
    pytester: pytest.Pytester, mount: Callable[[str, str], Path]
) -> None:
    small_tmpfs = mount("tmpfs", "size=256k")
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest(
        *TINY, f"--mlps-results-dir={small_tmpfs}", "--mlps-cache-dir=cache"
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "ERROR: results cannot be written: */tmpfs/*: No space left on device*",
            *("1 *", "run *, failed: *"),
        ]
    )
    assert not (pytester.path / "cache").exists()
    assert not list(small_tmpfs.rglob(".*.tmp"))


def test_run_without_pytest_benchmark_is_a_usage_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(mlps_run): pass")
    result = pytester.runpytest_subprocess("-p", "no:benchmark")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: A run needs pytest-benchmark*"])
