"""Counters of SMB shares, on samples in the form of /proc/fs/cifs/Stats."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.cluster.filesystems import Mount
from mlpstorage_bench.cluster.mount_counters.smb import share_bytes, share_name, smb_source
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import SourceFiles

STATS = r"""Resources in use
CIFS Session: 2
Share (unique mount targets): 3
SMB Request/Response Buffer: 1 Pool size: 5
Operations (MIDs): 0

0 session 0 share reconnects
Total vfs operations: 1612 maximum at one time: 16

Max requests in flight: 33
1) \\files.example\IPC$
SMBs: 3
Bytes read: 0  Bytes written: 0
2) \\files.example\kv cache
SMBs: 912
Bytes read: 536870912  Bytes written: 100663296
Open files: 0 total (local), 0 open on server
Reads: 512 total 0 failed
3) \\files.example\KV Cache	DISCONNECTED
SMBs: 12
Bytes read: 1024  Bytes written: 2048
"""


def test_connections_of_a_share_are_added() -> None:
    assert share_bytes(STATS, r"\\files.example\kv cache") == Traffic(536871936, 100665344)
    assert share_bytes(STATS, r"\\files.example\ipc$") == Traffic(0, 0)


def test_other_share_is_not_listed() -> None:
    assert share_bytes(STATS, r"\\files.example\kv") is None


def test_share_of_smb_1_has_no_such_line() -> None:
    text = "1) \\\\a\\b\nSMBs: 9 Oplocks breaks: 0\nReads:  0 Bytes: 0\n"
    assert share_bytes(text, r"\\a\b") is None


@pytest.mark.parametrize(
    "source",
    ["//files.example/kv", "//files.example/kv/", r"\\files.example\kv", "//files.example/kv/a"],
)
def test_share_of_a_source_has_no_path_inside(source: str) -> None:
    assert share_name(source) == r"\\files.example\kv"


def test_source_reads_the_kernels_list(tmp_path: Path) -> None:
    mount = Mount("/kv", "cifs", "//files.example/kv cache/a")
    assert "cannot be read" in str(smb_source(mount, tmp_path))
    (tmp_path / "fs" / "cifs").mkdir(parents=True)
    (tmp_path / "fs" / "cifs" / "Stats").write_text(STATS)
    source = smb_source(mount, tmp_path)
    assert isinstance(source, SourceFiles)
    assert source.source.strength == "exact"
    assert source.parse([STATS]) == Traffic(536871936, 100665344)
