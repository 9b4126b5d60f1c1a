"""Counters of NFS mounts, on samples in the form that the kernel documents (statvers 1.0, 1.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.cluster.filesystems import Mount
from mlpstorage_bench.cluster.mount_counters.nfs import nfs_source, server_bytes
from mlpstorage_bench.measure.counters import Traffic

OTHERS = """\
device rootfs mounted on / with fstype rootfs
no device mounted on /proc with fstype proc
device /dev/vda1 mounted on /boot with fstype ext4
"""


def block(mount_point: str, counts: str, fstype: str = "nfs4", version: str = "1.1") -> str:
    return f"""\
device nfs.example:/export/kv mounted on {mount_point} with fstype {fstype} statvers={version}
\topts:\trw,vers=4.2,rsize=1048576,wsize=1048576,hard,proto=tcp,timeo=600,retrans=2,sec=sys
\tage:\t1712
\timpl_id:\tname='',domain='',date='0,0'
\tcaps:\tcaps=0x7fffdf,wtmult=512,dtsize=1048576,bsize=0,namlen=255
\tnfsv4:\tbm0=0xfdffbfff,bm1=0x40f9be3e,bm2=0x803,acl=0x3,sessions,pnfs=not configured
\tsec:\tflavor=1,pseudoflavor=1
\tevents:\t21 46 0 9 8 12 60 512 0 17 0 512 6 0 20 0 0 9 0 0 512 0 0 0 0 0 0
\tbytes:\t{counts}
\tRPC iostats version: 1.1  p/v: 100003/4 (nfs)
\txprt:\ttcp 0 0 1 0 0 634 634 0 1271 0 2 0 637
\tper-op statistics
\t        READ: 512 512 0 106496 537034752 12 4113 4170 0
\t       WRITE: 96 96 0 100690944 13056 4 800 812 0
"""


def test_bytes_of_the_server_are_taken_not_those_of_calls() -> None:
    text = OTHERS + block("/mnt/kv", "11 22 33 44 536870912 100663296 131072 24576")
    assert server_bytes(text, "/mnt/kv") == Traffic(536870912, 100663296)


def test_mount_is_found_among_others_by_its_directory() -> None:
    text = block("/mnt/a", "0 0 0 0 1 2 0 0") + OTHERS + block("/mnt/b", "0 0 0 0 3 4 0 0", "nfs")
    assert server_bytes(text, "/mnt/a") == Traffic(1, 2)
    assert server_bytes(text, "/mnt/b") == Traffic(3, 4)
    assert server_bytes(text, "/mnt") is None


def test_last_of_several_mounts_on_a_directory_counts() -> None:
    first, second = block("/mnt", "0 0 0 0 1 2 0 0"), block("/mnt", "0 0 0 0 3 4 0 0")
    assert server_bytes(first + second, "/mnt") == Traffic(3, 4)
    hiding = "device none mounted on /mnt with fstype tmpfs\n"
    assert server_bytes(first + hiding, "/mnt") is None


def test_blanks_in_a_directory_are_decoded() -> None:
    text = block("/mnt/key\\040value", "0 0 0 0 1 2 0 0")
    assert server_bytes(text, "/mnt/key value") == Traffic(1, 2)


def test_bytes_of_version_1_0_have_the_same_place() -> None:
    text = block("/mnt", "0 0 0 0 1 2 0 0", version="1.0")
    assert server_bytes(text, "/mnt") == Traffic(1, 2)


@pytest.mark.parametrize("counts", ["", "1 2 3 4", "1 2 3 4 5", "0 0 0 0 -1 2 0 0", "a b c d e f"])
def test_line_without_counts_of_the_server_shows_nothing(counts: str) -> None:
    assert server_bytes(block("/mnt", counts), "/mnt") is None


def test_source_reads_the_file_of_this_process(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    longest = OTHERS * 100 + block("/mnt", "0 0 0 0 1 2 0 0")
    (tmp_path / "self" / "mountstats").write_text(longest)
    source = nfs_source(Mount("/mnt", "nfs4", "nfs.example:/export/kv"), tmp_path)
    assert (source.source.scope, source.source.strength) == ("host", "exact")
    counter = source.open_counter()
    assert counter is not None
    with counter:
        reading = counter.read()
    assert len(longest) > 4096
    assert reading is not None
    assert reading.traffic == Traffic(1, 2)
