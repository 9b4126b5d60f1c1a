"""Counters of Lustre, on trees of files in the form that its manual documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.cluster.filesystems import Mount
from mlpstorage_bench.cluster.mount_counters.lustre import (
    filesystem_name,
    lustre_source,
    rpc_bytes,
)
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import SourceFiles

MOUNT = Mount("/lustre", "lustre", "10.0.0.1@o2ib:10.0.0.2@o2ib:/scratch")
CLIENT = "ffff9c3f4e0d1000"


def stats(read: int, written: int) -> str:
    return f"""\
snapshot_time             1700000000.123456789 secs.nsecs
req_waittime              3142 samples [usec] 41 92310 4123123 8123123123
req_active                3142 samples [reqs] 1 16 9012 41023
read_bytes                {read // 4096} samples [bytes] 4096 1048576 {read} 8123123123123
write_bytes               {written // 4096} samples [bytes] 4096 1048576 {written} 7123123123123
ost_setattr               2 samples [usec] 81 121 202 21202
ost_read                  512 samples [usec] 212 8123 412312 812312312
obd_ping                  71 samples [usec] 61 512 7123 912312
"""


def write(root: Path, name: str, text: str) -> Path:
    path = root / name / "stats"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_sums_of_all_connections_are_added() -> None:
    assert rpc_bytes([stats(8192, 4096), stats(4096, 0)]) == Traffic(12288, 4096)


def test_connection_without_transfers_counts_nothing() -> None:
    text = "snapshot_time 1.2 secs.nsecs\nobd_ping 71 samples [usec] 61 512 7123 912312\n"
    assert rpc_bytes([text, stats(4096, 8192)]) == Traffic(4096, 8192)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("10.0.0.1@tcp:/scratch", "scratch"),
        ("10.0.0.1@o2ib:10.0.0.2@o2ib:/work2/a/b", "work2"),
        ("mgs.example@tcp:mgs2.example@tcp:/home-1", "home-1"),
    ],
)
def test_source_of_a_mount_has_the_name_of_its_filesystem(source: str, name: str) -> None:
    assert filesystem_name(source) == name


@pytest.mark.parametrize("place", ["fs/lustre", "kernel/debug/lustre"])
def test_connections_of_the_filesystem_are_found_in_either_place(
    tmp_path: Path, place: str
) -> None:
    own = [
        write(tmp_path / place, f"osc/scratch-OST{number:04x}-osc-{CLIENT}", stats(4096, 8192))
        for number in (0, 10)
    ]
    own.append(write(tmp_path / place, f"mdc/scratch-MDT0000-mdc-{CLIENT}", stats(1, 2)))
    write(tmp_path / place, f"osc/other-OST0000-osc-{CLIENT}", stats(1, 1))
    write(tmp_path / place, "osc/scratch-OST0000-osc-MDT0000", stats(1, 1))  # a server's own
    write(tmp_path / place, f"llite/scratch-{CLIENT}", stats(1, 1))  # of calls, not of RPCs
    source = lustre_source(MOUNT, tmp_path, tmp_path)
    assert isinstance(source, SourceFiles)
    assert sorted(source.files) == sorted(map(str, own))
    assert source.source.name == "the Lustre filesystem scratch"
    counter = source.open_counter()
    assert counter is not None
    with counter:
        reading = counter.read()
    assert reading is not None
    assert reading.traffic == Traffic(8193, 16386)


def test_counters_that_only_root_can_read_have_a_reason(debugfs_of_root: Path) -> None:
    assert lustre_source(MOUNT, Path("/nonexistent"), debugfs_of_root.parents[1]) == (
        f"{debugfs_of_root}/lustre/osc cannot be read by this user (Permission denied)"
    )


def test_place_that_is_no_directory_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "fs").mkdir()
    (tmp_path / "fs" / "lustre").write_text("")
    found = lustre_source(MOUNT, tmp_path, tmp_path / "none")
    assert found == f"{tmp_path}/fs/lustre/osc cannot be read by this user (Not a directory)"


def test_filesystem_without_connections_has_a_reason(tmp_path: Path) -> None:
    assert lustre_source(MOUNT, tmp_path, tmp_path) == (
        "no connection of scratch has statistics (osc.*.stats)"
    )
