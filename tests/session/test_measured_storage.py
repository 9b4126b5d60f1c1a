"""The storage is named above the results, with its change since the last run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.benchmark_type.records import CaseRecord, FailedTrialRecord, TrialRecord
from mlpstorage_bench.cluster.filesystems import describe_cache_filesystem
from mlpstorage_bench.cluster.information import gather_cluster_information
from mlpstorage_bench.history.cache_directories import CacheDirectory, of_hosts, of_metadata
from mlpstorage_bench.history.reading import read_metadata
from mlpstorage_bench.mpi.comm import SoloComm
from mlpstorage_bench.session.measured_storage import (
    changes_since_last_run,
    headline,
    note_on_system_disk,
)
from tests.gate.sessions import REPRODUCIBLE, TEST, gate, metadata_files, write_past_runs
from tests.past_runs import leave_run
from tests.session.tiny import TINY

ARRAY = CacheDirectory("h1", "/mnt/array/cache", "xfs", "/dev/sdb1", "Array 9", "/mnt/array")
ROOT = CacheDirectory("h1", "/mnt/array/cache", "xfs", "/dev/sda1", "Array 9", "/")


def rank(mode: str) -> dict[str, object]:
    return {"mlpstorage": {"io_mode": mode}}


def case(*modes: str) -> CaseRecord:
    """Return a case with a rank for each mode."""
    trials = (TrialRecord(1, {}, [*map(rank, modes)]),) if modes else ()
    return CaseRecord("kv_cache", "1", 1, {}, trials)


def system_info(*directories: CacheDirectory) -> dict[str, Any]:
    """Return a run's facts about hosts with these cache directories."""
    keys = ("path", "fstype", "device", "model", "mount_point")
    return {
        "hosts": [
            {
                "hostname": one.host,
                "ranks": [0],
                "cache_filesystem": {key: getattr(one, key) for key in keys},
            }
            for one in directories
        ]
    }


def test_headline_has_path_filesystem_device_and_mount_point() -> None:
    assert headline([ARRAY], [case("direct")]) == (
        "storage: /mnt/array/cache: xfs on /dev/sdb1 (Array 9), mounted at /mnt/array, direct I/O"
    )
    other = replace(ROOT, host="h2")
    assert headline([ARRAY, replace(ARRAY, host="h3"), other], [case("buffered")]) == (
        "storage: /mnt/array/cache: xfs on /dev/sdb1 (Array 9), mounted at /mnt/array on h1, h3; "
        "xfs on /dev/sda1 (Array 9), mounted at / on h2; buffered I/O"
    )


def test_headline_says_how_the_cases_moved_their_files() -> None:
    failed = FailedTrialRecord(1, {}, [rank("uncached")], failure="the device failed")
    assert [
        headline([ARRAY], cases).partition("/mnt/array, ")[2]
        for cases in (
            [case("buffered")],
            [case("direct"), case("buffered", "direct")],
            [replace(case("direct"), failed_trial=failed)],
            [replace(case(), failed_trial=failed)],
        )
    ] == ["buffered I/O", "buffered and direct I/O", "direct and uncached I/O", "uncached I/O"]


def test_headline_says_nothing_of_files_where_none_were_moved() -> None:
    simulated = TrialRecord(1, {}, [{"mlpstorage": {"io_mode": "direct", "is_simulated": True}}])
    for cases in ([], [case()], [replace(case(), trials=(simulated,))]):
        assert headline([ARRAY], cases).endswith(" (Array 9), mounted at /mnt/array")


@pytest.mark.slow
def test_scenario_through_the_page_cache_is_not_said_to_be_direct(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1, io_mode='buffered')")
    result = pytester.runpytest(*TINY, "--mlps-cache-dir=cache")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["storage: *, buffered I/O"])


def test_directory_on_the_system_disk_is_noted() -> None:
    assert note_on_system_disk([ARRAY]) == []
    (note,) = note_on_system_disk([ROOT])
    assert note == (
        "/mnt/array/cache is on the filesystem of the operating system (xfs on /dev/sda1 (Array 9),"
        " mounted at /). Is the storage to be measured mounted? Name a directory on it with "
        "--mlps-cache-dir"
    )
    (note,) = note_on_system_disk([ARRAY, replace(ROOT, host="h2"), replace(ROOT, host="h3")])
    assert note.startswith("/mnt/array/cache on h2, h3 is on the filesystem of the operating")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (ARRAY, ""),
        (ROOT, "another storage than in run 20261101_120300-0003: now xfs on /dev/sda1 .*; then"),
        (replace(ARRAY, fstype="ext4"), "now ext4 on /dev/sdb1"),
        (replace(ARRAY, model="Array 10"), r"now xfs on /dev/sdb1 \(Array 10\)"),
        (replace(ROOT, host="h9"), ""),
        (replace(ROOT, path="/mnt/array/other"), ""),
    ],
)
def test_change_since_the_last_run_of_the_same_host_and_path_is_said(
    tmp_path: Path, now: CacheDirectory, said: str
) -> None:
    leave_run(tmp_path, 1, system_info=system_info(ROOT), hosts=["h1"])
    leave_run(tmp_path, 3, system_info=system_info(ARRAY), hosts=["h1"])
    leave_run(tmp_path, 4, system_info=None, hosts=["h1"])
    own = leave_run(tmp_path, 5, system_info=system_info(ROOT), hosts=["h1"])
    changes = changes_since_last_run(tmp_path, own, [now])
    assert len(changes) == bool(said)
    assert not said or re.search(said, changes[0])


def test_first_run_is_compared_with_none_and_makes_no_index(tmp_path: Path) -> None:
    own = leave_run(tmp_path, 1, system_info=system_info(ROOT), hosts=["h1"])
    assert changes_since_last_run(tmp_path, own, [ARRAY]) == []
    assert list(tmp_path.iterdir()) == [tmp_path / "open"]


def test_metadata_without_hosts_names_no_cache_directory(tmp_path: Path) -> None:
    path = leave_run(tmp_path, 1, system_info={"hosts": [{"hostname": "h1"}]})
    assert of_metadata(read_metadata(path)) == ()


def test_directories_of_a_session_are_those_of_its_metadata(tmp_path: Path) -> None:
    cluster = gather_cluster_information(SoloComm(), tmp_path / "cache")
    path = leave_run(tmp_path, 1, system_info=cluster.system_info())
    (one,) = of_hosts(cluster.hosts)
    assert of_metadata(read_metadata(path)) == (one,)
    assert one.device == describe_cache_filesystem(tmp_path).device


def on_another_device(path: Path) -> None:
    """Change the device under the cache directory in a run's metadata."""
    metadata = json.loads(path.read_text())
    for host in metadata["system_info"]["hosts"]:
        host["cache_filesystem"]["device"] = "/dev/array"
    path.write_text(json.dumps(metadata))


@pytest.mark.long
def test_table_says_what_was_measured_and_that_it_was_another_storage_last_time(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(TEST)
    where = f"{pytester.path / 'cache'}: {of_metadata_of_here(pytester)}"
    first = pytester.runpytest(*TINY, "--mlps-cache-dir=cache", "--mlps-report=r.md")
    first.stdout.fnmatch_lines([f"storage: {where}, * I/O", "case  trials *"])
    assert "another storage" not in first.stdout.str()
    assert where in (pytester.path / "r.md").read_text()
    (path,) = metadata_files(pytester)
    on_another_device(path)
    second = pytester.runpytest(*TINY, "--mlps-cache-dir=cache")
    second.stdout.fnmatch_lines(
        ["storage: *", "*is another storage than in run *then * on /dev/array*", "case  trials *"]
    )
    trend = pytester.runpytest_subprocess(
        "--mlps-history-trend=read_gib_s", "--mlps-results-dir=results"
    )
    trend.stdout.fnmatch_lines(["*┤*┊*", "*┊ another system, storage or workload from here on"])


def of_metadata_of_here(pytester: pytest.Pytester) -> str:
    (one,) = of_hosts(gather_cluster_information(SoloComm(), pytester.path / "cache").hosts)
    return one.storage


def test_gate_does_not_compare_with_runs_on_another_device(pytester: pytest.Pytester) -> None:
    write_past_runs(pytester)
    for path in metadata_files(pytester):
        on_another_device(path)
    result = gate(pytester)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*storage under *cache on *here, * on /dev/array*there*"])


def test_cache_directory_without_a_parent_is_a_usage_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    result = pytester.runpytest(*REPRODUCIBLE, "--mlps-cache-dir=array/cache")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --mlps-cache-dir: got '*/array/cache'*Is the storage mounted*"]
    )
    assert not (pytester.path / "array").exists()
