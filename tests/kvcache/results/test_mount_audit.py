"""Audits of ranks on network filesystems, whose counters belong to a host."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from mlpstorage_bench.kvcache.results.notes import notes_on
from mlpstorage_bench.kvcache.results.pooling import pool_trial
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.results.reference_rank import rank_result
from mlpstorage_bench.kvcache.results.trial_ranks import TrialRanks
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import Source, SourceTraffic
from mlpstorage_bench.units import GIB
from tests.kvcache.results.test_case_result import rank_trial
from tests.trials import workload

NFS = Source("the NFS mount /mnt", "host", "exact")
INTERFACES = Source("the network interfaces but loopback", "interfaces", "bound")
OF_ONE_RANK = Traffic(2 * GIB, GIB // 2)
OF_TWO_RANKS = Traffic(4 * GIB, GIB)


def on_mount(
    number: int, source: Source | None, traffic: Traffic | None, reason: str = "", host: str = "h0"
) -> RankTrial:
    """Return a rank that read 2 GiB and wrote 0.5 GiB, and whose process has no counter."""
    return dataclasses.replace(
        rank_trial(number),
        host=host,
        process_traffic=None,
        mount_traffic=SourceTraffic(source, traffic, reason),
        counted_s=2.0,
    )


def test_ranks_of_a_host_are_audited_once_over_their_sum() -> None:
    ranks = [on_mount(number, NFS, OF_TWO_RANKS) for number in (0, 1)]
    [host] = TrialRanks(ranks).hosts
    assert (host.audit.verdict, host.audit.ratio) == ("ok", 1.0)
    assert TrialRanks(ranks).audits.audits == [host.audit]
    pooled = pool_trial(1, ranks)
    assert (pooled.audit_verdict, pooled.audit_ratio) == ("ok", 1.0)
    assert (pooled.host_audit_verdict, pooled.page_cache_bytes) == ("ok", 0)


def test_reads_that_one_rank_had_from_memory_refute_the_sum() -> None:
    counted = Traffic(3 * GIB, GIB)
    pooled = pool_trial(1, [on_mount(number, NFS, counted) for number in (0, 1)])
    assert (pooled.audit_verdict, pooled.page_cache_bytes) == ("served from page cache", GIB)
    assert pooled.audit_reason == (
        "25.0% of reads and 0.0% of writes never reached the server of the NFS mount /mnt"
    )


def test_two_mounts_and_two_hosts_are_audited_apart() -> None:
    other = dataclasses.replace(NFS, name="the NFS mount /other")
    ranks = [
        on_mount(0, NFS, OF_ONE_RANK),
        on_mount(1, other, OF_ONE_RANK),
        on_mount(2, NFS, OF_ONE_RANK, host="h1"),
    ]
    assert [len(host.ranks) for host in TrialRanks(ranks).hosts] == [1, 1, 1]
    assert pool_trial(1, ranks).host_audit_verdict == "ok"


def test_other_programs_on_the_mount_are_foreign_traffic() -> None:
    pooled = pool_trial(1, [on_mount(0, NFS, Traffic(4 * GIB, GIB // 2))])
    assert (pooled.audit_verdict, pooled.foreign_traffic_on) == (
        "foreign traffic",
        "the NFS mount /mnt on h0",
    )
    assert pooled.foreign_gib_s == pytest.approx(2 * 0.99 / 2, rel=0.02)


@pytest.mark.parametrize(
    ("moved", "lack", "verdict", "reason"),
    [
        (OF_ONE_RANK, "", "bounded", "on h0 moved at least as many bytes, with others"),
        (Traffic(9 * GIB, 9 * GIB), "", "bounded", "this neither refutes nor confirms the result"),
        (Traffic(GIB, GIB), "", "served from page cache", "50.0% of reads and 0.0% of writes did"),
        (Traffic(3 * GIB, 0), "", "served from page cache", "100.0% of writes did not pass the"),
        (OF_ONE_RANK, "osc is root's", "not measurable", "osc is root's; the network interfaces"),
        (Traffic(0, 0), "osc is root's", "served from page cache", "100.0% of reads"),
    ],
)
def test_bound_refutes_and_never_confirms(
    moved: Traffic, lack: str, verdict: str, reason: str
) -> None:
    pooled = pool_trial(1, [on_mount(0, INTERFACES, moved, lack)])
    assert (pooled.audit_verdict, pooled.host_audit_verdict) == (verdict, verdict)
    assert reason in pooled.audit_reason
    assert (pooled.audit_ratio is None) == (moved.total == 0 or verdict != "served from page cache")
    assert pooled.foreign_gib_s is None
    [note] = [note for note in notes_on([pooled]) if note.startswith("audit")]
    assert note == f"audit: {verdict}: {pooled.audit_reason}"


def test_bound_is_over_the_sum_of_all_ranks_of_the_host() -> None:
    enough_for_each = Traffic(3 * GIB, GIB)
    assert pool_trial(1, [on_mount(0, INTERFACES, enough_for_each)]).audit_verdict == "bounded"
    both = [on_mount(number, INTERFACES, enough_for_each) for number in (0, 1)]
    assert pool_trial(1, both).audit_verdict == "served from page cache"


def test_mount_that_nothing_counts_has_its_reason() -> None:
    pooled = pool_trial(1, [on_mount(0, None, None, "all network interfaces did not count")])
    assert (pooled.audit_verdict, pooled.page_cache_bytes) == ("not measurable", 0)
    assert pooled.audit_reason == "all network interfaces did not count on h0"


def test_server_refutes_what_the_counters_of_processes_confirm() -> None:
    confirmed = dataclasses.replace(
        on_mount(0, NFS, Traffic(GIB, GIB // 2)), process_traffic=OF_ONE_RANK
    )
    assert confirmed.audit.verdict == "ok"
    assert pool_trial(1, [confirmed]).audit_verdict == "served from page cache"


@pytest.mark.parametrize(("source", "verdict"), [(NFS, "ok"), (INTERFACES, "bounded")])
def test_counters_of_processes_confirm_nothing_on_a_network_filesystem(
    source: Source, verdict: str
) -> None:
    confirmed = dataclasses.replace(on_mount(0, source, OF_ONE_RANK), process_traffic=OF_ONE_RANK)
    pooled = pool_trial(1, [confirmed])
    assert (pooled.audit_verdict, pooled.host_audit_verdict) == (verdict, verdict)


def test_counters_of_processes_refute_on_a_network_filesystem() -> None:
    cached = Traffic(GIB, GIB // 2)
    refuted = dataclasses.replace(on_mount(0, INTERFACES, OF_ONE_RANK), process_traffic=cached)
    assert pool_trial(1, [refuted]).audit_verdict == "served from page cache"


def test_writes_that_are_not_synced_leave_reads_exact() -> None:
    rank = dataclasses.replace(on_mount(0, NFS, Traffic(GIB, GIB // 2)), io_mode="buffered")
    unsynced = {
        key: dataclasses.replace(part, completing_bytes=4 * GIB * (key.kind == "write"))
        for key, part in rank.operations.items()
    }
    cached = dataclasses.replace(rank, operations=unsynced)
    assert pool_trial(1, [cached]).audit_verdict == "served from page cache"


def test_result_of_a_rank_has_its_source() -> None:
    content = rank_result(workload(), 1, on_mount(0, INTERFACES, OF_ONE_RANK, "osc is root's"))
    additions = content["mlpstorage"]
    assert isinstance(additions, dict)
    assert additions["mount"] == {
        "name": "the network interfaces but loopback",
        "scope": "interfaces",
        "strength": "bound",
        "read_bytes": 2 * GIB,
        "write_bytes": GIB // 2,
        "reason": "osc is root's",
    }
    unknown = rank_result(workload(), 1, on_mount(0, None, None, "nothing counts"))
    assert isinstance(unknown["mlpstorage"], dict)
    assert unknown["mlpstorage"]["mount"] == {"reason": "nothing counts"}


def test_record_travels_to_rank_0() -> None:
    rank = on_mount(0, NFS, OF_ONE_RANK)
    assert pickle.loads(pickle.dumps(rank)).mount_traffic == rank.mount_traffic  # noqa: S301 - own
