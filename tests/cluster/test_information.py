from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.cluster.differences import describe_differences
from mlpstorage_bench.cluster.host import HostRecord, describe_host
from mlpstorage_bench.cluster.information import (
    ClusterInformation,
    check_cache_dirs,
    gather_cluster_information,
)
from mlpstorage_bench.cluster.reference_hosts import host_in_reference_form
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.mpi.comm import SoloComm
from mlpstorage_bench.units import GIB

Alter = Callable[[HostRecord], HostRecord]


class FakeExchange:
    """Exchange of values between the ranks of a fake job, each a thread."""

    def __init__(self, nodes: Sequence[str], alterations: dict[str, Alter]) -> None:
        self.nodes = nodes
        self.alterations = alterations
        self.values: list[Any] = [None] * len(nodes)
        self.records_sent = 0
        self.barrier = threading.Barrier(len(nodes), timeout=30)


class NodeComm(SoloComm):
    """Rank of a fake job on a fake node: facts about this machine get the node's name.

    The real collection runs on each node; only names and the test's alterations differ.
    """

    def __init__(self, rank: int, exchange: FakeExchange) -> None:
        super().__init__()
        self.rank = rank
        self.size = len(exchange.nodes)
        self._exchange = exchange

    def allgather(self, value: object) -> list[Any]:
        exchange, node = self._exchange, self._exchange.nodes[self.rank]
        if isinstance(value, HostRecord):
            value = replace(value, hostname=node)
            if node in exchange.alterations:
                value = exchange.alterations[node](value)
        elif value == socket.gethostname():
            value = node
        exchange.values[self.rank] = value
        exchange.barrier.wait()
        gathered = list(exchange.values)
        exchange.barrier.wait()
        if self.rank == 0:
            exchange.records_sent += sum(isinstance(item, HostRecord) for item in gathered)
        return gathered


def gather_on(
    nodes: Sequence[str], cache_dir: Path, alterations: dict[str, Alter] | None = None
) -> tuple[list[ClusterInformation], FakeExchange]:
    """Return each rank's result of a job with one rank per node."""
    exchange = FakeExchange(nodes, alterations or {})
    with ThreadPoolExecutor(len(nodes)) as pool:
        futures = [
            pool.submit(gather_cluster_information, NodeComm(rank, exchange), cache_dir)
            for rank in range(len(nodes))
        ]
        return [future.result() for future in futures], exchange


def with_cpu(**facts: Any) -> Alter:
    return lambda record: replace(record, cpu=replace(record.cpu, **facts))


def with_memory(total: int | None) -> Alter:
    return lambda record: replace(record, memory=replace(record.memory, total=total))


def with_system(**facts: Any) -> Alter:
    return lambda record: replace(record, system=replace(record.system, **facts))


def with_cache(**facts: Any) -> Alter:
    return lambda record: replace(
        record, cache_filesystem=replace(record.cache_filesystem, **facts)
    )


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> HostRecord:
    return describe_host(tmp_path_factory.mktemp("cache"))


def cluster_of(*hosts: HostRecord, ranks_per_host: int = 2) -> ClusterInformation:
    ranks = {
        host.hostname: tuple(range(first, first + ranks_per_host))
        for first, host in zip(range(0, 10_000, ranks_per_host), hosts, strict=False)
    }
    return ClusterInformation(
        hosts, ranks, describe_differences(hosts), "mpi", hosts[0].collection_timestamp
    )


def named(record: HostRecord, hostname: str, *alterations: Alter) -> HostRecord:
    record = replace(record, hostname=hostname)
    for alter in alterations:
        record = alter(record)
    return record


# --- gathering ---


def test_cluster_of_one_process_is_this_host(tmp_path: Path) -> None:
    cluster = gather_cluster_information(SoloComm(), tmp_path)
    assert cluster.hostnames == (socket.gethostname(),)
    assert cluster.ranks_by_host == {socket.gethostname(): (0,)}
    assert cluster.collection_method == "local"
    assert cluster.inconsistencies == ()


def test_cluster_information_is_equal_on_every_rank(tmp_path: Path) -> None:
    learned, _ = gather_on(["node1", "node1", "node2", "node2"], tmp_path)
    assert learned == [learned[0]] * 4
    assert learned[0].collection_method == "mpi"


@pytest.mark.parametrize(
    ("nodes", "ranks_by_host"),
    [
        (["node1", "node1", "node2", "node2"], {"node1": (0, 1), "node2": (2, 3)}),
        (["node2", "node1", "node2", "node1"], {"node2": (0, 2), "node1": (1, 3)}),
    ],
)
def test_hosts_are_ordered_by_lowest_rank(
    tmp_path: Path, nodes: list[str], ranks_by_host: dict[str, tuple[int, ...]]
) -> None:
    (cluster, *_), _ = gather_on(nodes, tmp_path)
    assert cluster.ranks_by_host == ranks_by_host
    assert list(cluster.ranks_by_host) == list(ranks_by_host)
    assert cluster.hostnames == tuple(ranks_by_host)
    assert cluster.num_hosts == 2


def test_each_host_has_one_record(tmp_path: Path) -> None:
    _, exchange = gather_on(["node1", "node2", "node1", "node2", "node1"], tmp_path)
    assert exchange.records_sent == 2


def test_host_of_rank_is_the_ranks_host(tmp_path: Path) -> None:
    (cluster, *_), _ = gather_on(["node2", "node1", "node2", "node1"], tmp_path)
    hostnames = [cluster.host_of_rank(rank).hostname for rank in range(4)]
    assert hostnames == ["node2", "node1", "node2", "node1"]


def test_host_of_unknown_rank_is_an_error(record: HostRecord) -> None:
    with pytest.raises(ValueError, match="rank: got 4; accepted: 0 to 3"):
        cluster_of(record, named(record, "node2")).host_of_rank(4)


def test_difference_between_gathered_hosts_is_reported(tmp_path: Path) -> None:
    (cluster, *_), _ = gather_on(
        ["node1", "node1", "node2", "node2"],
        tmp_path,
        {"node1": with_cpu(model="EPYC 9654"), "node2": with_cpu(model="Xeon 8480")},
    )
    assert cluster.inconsistencies == (
        "CPU model differs between hosts: EPYC 9654 on node1; Xeon 8480 on node2",
    )


# --- ranks that share a cache's filesystem ---


def test_ranks_of_a_host_share_its_local_disk(record: HostRecord) -> None:
    local = with_cache(fstype="ext4", device="/dev/sda1")
    cluster = cluster_of(named(record, "node1", local), named(record, "node2", local))
    assert cluster.ranks_sharing_cache(0) == 2


@pytest.mark.parametrize(
    ("fstype", "device"),
    [
        ("nfs4", "filer:/kv"),
        ("lustre", "10.0.0.1@tcp:/scratch"),
        ("cifs", "//filer/kv"),
        ("gpfs", "gpfs0"),
        ("ocfs2", "/dev/mapper/kv"),
        ("fuse.sshfs", "me@filer:/kv"),
    ],
)
def test_all_ranks_share_a_network_filesystem(record: HostRecord, fstype: str, device: str) -> None:
    remote = with_cache(fstype=fstype, device=device)
    cluster = cluster_of(named(record, "node1", remote), named(record, "node2", remote))
    assert cluster.ranks_sharing_cache(3) == 4


def test_hosts_on_different_exports_do_not_share(record: HostRecord) -> None:
    cluster = cluster_of(
        named(record, "node1", with_cache(fstype="nfs4", device="filer:/kv1")),
        named(record, "node2", with_cache(fstype="nfs4", device="filer:/kv2")),
    )
    assert cluster.ranks_sharing_cache(0) == 2


def test_hosts_with_unknown_filesystem_do_not_share(record: HostRecord) -> None:
    unknown = with_cache(fstype=None, device=None)
    cluster = cluster_of(named(record, "node1", unknown), named(record, "node2", unknown))
    assert cluster.ranks_sharing_cache(0) == 2


# --- inconsistencies ---


def test_equal_hosts_have_no_differences(record: HostRecord) -> None:
    assert describe_differences([record, named(record, "node2"), named(record, "node3")]) == ()


@pytest.mark.parametrize(
    ("one", "other", "sentence"),
    [
        (
            with_cpu(num_cores=32, num_logical_cores=64),
            with_cpu(num_cores=32, num_logical_cores=32),
            (
                "Core count differs between hosts: 32 physical and 64 logical cores on node1, "
                "node2; 32 physical and 32 logical cores on node3"
            ),
        ),
        (
            with_memory(256 * GIB),
            with_memory(128 * GIB),
            "Memory differs between hosts: 256.00 GiB on node1, node2; 128.00 GiB on node3",
        ),
        (
            with_memory(256 * GIB),
            with_memory(None),
            "Memory differs between hosts: 256.00 GiB on node1, node2; unknown on node3",
        ),
        (
            with_system(kernel_version="6.1.0"),
            with_system(kernel_version="6.8.0"),
            "Kernel version differs between hosts: 6.1.0 on node1, node2; 6.8.0 on node3",
        ),
        (
            with_system(os_release={"PRETTY_NAME": "Debian 12"}),
            with_system(os_release=None),
            "OS release differs between hosts: Debian 12 on node1, node2; unknown on node3",
        ),
        (
            lambda host: replace(host, python_version="3.11.7"),
            lambda host: replace(host, python_version="3.12.1"),
            "Python version differs between hosts: 3.11.7 on node1, node2; 3.12.1 on node3",
        ),
        (
            lambda host: replace(host, packages={**host.packages, "numpy": "2.4.6"}),
            lambda host: replace(host, packages={**host.packages, "numpy": None}),
            "Version of numpy differs between hosts: 2.4.6 on node1, node2; not installed on node3",
        ),
        (
            lambda host: replace(host, mpi_library="Open MPI 5.0.11"),
            lambda host: replace(host, mpi_library="Open MPI 5.0.6"),
            (
                "MPI library differs between hosts: Open MPI 5.0.11 on node1, node2; "
                "Open MPI 5.0.6 on node3"
            ),
        ),
        (
            lambda host: replace(host, clock_offset_s=0.003),
            lambda host: replace(host, clock_offset_s=-7.2),
            "Clock differs between hosts: +0.0 s on node1, node2; -7.2 s on node3",
        ),
        (
            with_cache(fstype="xfs"),
            with_cache(fstype="ext4"),
            "Cache filesystem type differs between hosts: xfs on node1, node2; ext4 on node3",
        ),
        (
            with_cache(model="PM9A3"),
            with_cache(model="CD8"),
            "Cache device model differs between hosts: PM9A3 on node1, node2; CD8 on node3",
        ),
    ],
)
def test_difference_names_fact_and_hosts_of_each_value(
    record: HostRecord, one: Alter, other: Alter, sentence: str
) -> None:
    hosts = [named(record, "node1", one), named(record, "node2", one)]
    hosts.append(named(record, "node3", other))
    assert describe_differences(hosts) == (sentence,)


def test_memory_may_differ_by_two_percent(record: HostRecord) -> None:
    hosts = [named(record, "node1", with_memory(1000 * GIB))]
    for total_gib, is_reported in ((1020, False), (1021, True)):
        other = named(record, "node2", with_memory(total_gib * GIB))
        assert bool(describe_differences([*hosts, other])) == is_reported


def test_clocks_may_differ_by_half_a_second(record: HostRecord) -> None:
    first = replace(named(record, "node1"), clock_offset_s=0.0)
    for offset_s, is_reported in ((0.5, False), (-0.5, False), (0.6, True)):
        other = replace(named(record, "node2"), clock_offset_s=offset_s)
        assert bool(describe_differences([first, other])) == is_reported


def test_host_records_have_clock_offsets(tmp_path: Path) -> None:
    (cluster, *_), _ = gather_on(["node1", "node2"], tmp_path)
    assert all(abs(host.clock_offset_s or 0.0) < 0.5 for host in cluster.hosts)
    assert cluster.hosts[0].clock_offset_s == 0.0
    assert gather_cluster_information(SoloComm(), tmp_path).hosts[0].clock_offset_s is None


# --- the cache directory ---


def test_cache_directory_on_all_hosts_or_none_is_accepted(record: HostRecord) -> None:
    check_cache_dirs([record, named(record, "node2")])


def test_cache_directory_on_some_hosts_is_refused(record: HostRecord) -> None:
    there = with_cache(path="/mnt/array/cache", existing="/mnt/array/cache")
    lacking = with_cache(path="/mnt/array/cache", existing="/mnt")
    hosts = [named(record, f"node{n}", there) for n in (1, 3)]
    with pytest.raises(
        InvalidInputError, match="Existing: /mnt/array/cache on node1, node3; /mnt "
    ):
        check_cache_dirs([*hosts, named(record, "node2", lacking)])


def test_many_equal_hosts_are_named_up_to_a_limit(record: HostRecord) -> None:
    alike = [named(record, f"node{n}", with_cache(fstype="xfs")) for n in range(100)]
    odd = named(record, "odd", with_cache(fstype="ext4"))
    (sentence,) = describe_differences([*alike, odd])
    assert sentence.endswith("node6, node7 and 92 more; ext4 on odd")


def test_load_and_free_memory_may_differ(record: HostRecord) -> None:
    busy = replace(
        named(record, "node2", with_system(load_average_1min=64.0, uptime_seconds=1.0)),
        memory=replace(record.memory, free=1, available=1),
        collection_timestamp="2000-01-01T00:00:00+00:00",
    )
    assert describe_differences([record, busy]) == ()


# --- the metadata's system_info ---


def test_system_info_has_the_references_format(record: HostRecord) -> None:
    cluster = cluster_of(
        named(record, "node1", with_memory(256 * GIB), with_cpu(num_cores=64)),
        named(record, "node2", with_memory(128 * GIB), with_cpu(num_cores=32)),
    )
    info = cluster.system_info()
    hosts = info.pop("hosts")
    assert info == {
        "total_memory_bytes": 384 * GIB,
        "total_cores": 96,
        "num_hosts": 2,
        "min_memory_bytes": 128 * GIB,
        "max_memory_bytes": 256 * GIB,
        "collection_method": "mpi",
        "collection_timestamp": record.collection_timestamp,
        "host_consistency_issues": list(cluster.inconsistencies),
    }
    assert hosts == [
        host_in_reference_form(cluster.hosts[0], [0, 1]),
        host_in_reference_form(cluster.hosts[1], [2, 3]),
    ]


def test_hosts_that_are_alike_have_no_issues(record: HostRecord) -> None:
    assert "host_consistency_issues" not in cluster_of(record).system_info()


def test_system_info_is_json(tmp_path: Path) -> None:
    (cluster, *_), _ = gather_on(["node1", "node2"], tmp_path)
    written = json.loads(json.dumps(cluster.system_info()))
    reference = {"hostname", "memory", "cpu", "disks", "network", "system", "collection_timestamp"}
    assert [reference - host.keys() for host in written["hosts"]] == [set(), set()]


def test_sum_with_unknown_value_is_none(record: HostRecord) -> None:
    info = cluster_of(record, named(record, "node2", with_memory(None))).system_info()
    assert (info["total_memory_bytes"], info["min_memory_bytes"]) == (None, None)


# --- the fingerprint ---


def test_fingerprint_ignores_names_order_and_state(
    record: HostRecord,
) -> None:
    fast, slow = with_cache(model="PM9A3"), with_cache(model="CD8")
    before = cluster_of(named(record, "node1", fast), named(record, "node2", slow))
    busy = with_system(load_average_1min=9.0, uptime_seconds=5.0)
    after = cluster_of(named(record, "node8", slow, busy), named(record, "node9", fast))
    assert after.system_fingerprint() == before.system_fingerprint()


@pytest.mark.parametrize(
    "alter",
    [
        with_cpu(model="another"),
        with_cpu(num_logical_cores=1000),
        with_memory(1000 * GIB),
        with_memory(None),
        with_system(kernel_version="2.6.32"),
        with_cache(fstype="another"),
        with_cache(model="another"),
    ],
)
def test_fingerprint_depends_on_the_machine(record: HostRecord, alter: Alter) -> None:
    assert cluster_of(alter(record)).system_fingerprint() != cluster_of(record).system_fingerprint()


def test_fingerprint_depends_on_rank_and_host_count(record: HostRecord) -> None:
    clusters = [
        cluster_of(record, ranks_per_host=2),
        cluster_of(record, ranks_per_host=4),
        cluster_of(record, named(record, "node2"), ranks_per_host=2),
    ]
    assert len({cluster.system_fingerprint() for cluster in clusters}) == 3


def test_fingerprint_ignores_kernel_patch_version(record: HostRecord) -> None:
    patched = [
        cluster_of(with_system(kernel_version=version)(record)).system_fingerprint()
        for version in ("6.8.0-41-generic", "6.8.12", "6.80.0")
    ]
    assert patched[0] == patched[1]
    assert patched[0] != patched[2]


@given(order=st.permutations(range(4)))
def test_fingerprint_ignores_host_order(record: HostRecord, order: list[int]) -> None:
    hosts = [
        named(record, f"node{n}", with_cpu(model=None if n == 0 else f"model {n}"))
        for n in range(4)
    ]
    shuffled = cluster_of(*(hosts[n] for n in order))
    assert shuffled.system_fingerprint() == cluster_of(*hosts).system_fingerprint()
