"""Counters of GlusterFS, on files in the form in which its client shows them."""

from __future__ import annotations

from pathlib import Path

from mlpstorage_bench.cluster.filesystems import Mount
from mlpstorage_bench.cluster.mount_counters.gluster import gluster_source, transport_bytes
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import SourceFiles


def private(read: int, written: int) -> str:
    return f"""\
[xlator.protocol.client.kv-client-0.priv]
connected = 1
total_bytes_read = {read}
ping_timeout = 42
total_bytes_written = {written}
ping_msgs_sent = 3
msgs_sent = 146
"""


def test_connections_to_all_bricks_are_added() -> None:
    assert transport_bytes([private(10, 20), private(1, 2)]) == Traffic(11, 22)


def test_connection_without_counts_leaves_no_sum() -> None:
    assert transport_bytes([private(10, 20), "[xlator.cluster.dht]\n"]) is None
    assert transport_bytes([]) is None


def test_connections_are_found_by_their_type(tmp_path: Path) -> None:
    graph = tmp_path / ".meta" / "graphs" / "active"
    for name, kind in (("kv-client-0", "protocol/client"), ("kv-dht", "cluster/distribute")):
        (graph / name).mkdir(parents=True)
        (graph / name / "type").write_text(kind)
        (graph / name / "private").write_text(private(10, 20))
    source = gluster_source(Mount(str(tmp_path), "fuse.glusterfs", "host1:/kv"))
    assert isinstance(source, SourceFiles)
    assert source.files == (str(graph / "kv-client-0" / "private"),)
    assert (source.source.scope, source.source.strength) == ("host", "bound")


def test_mount_that_shows_no_state_has_no_source(tmp_path: Path) -> None:
    mount = Mount(str(tmp_path), "fuse.glusterfs", "host1:/kv")
    assert gluster_source(mount) is None
    (tmp_path / ".meta" / "graphs" / "active").mkdir(parents=True)
    assert gluster_source(mount) is None
