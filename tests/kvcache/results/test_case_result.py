from __future__ import annotations

import dataclasses
import pickle
from datetime import datetime
from pathlib import Path
from typing import Any, assert_type, cast

import pytest

from mlpstorage_bench.benchmark_type.interface import Standing
from mlpstorage_bench.benchmark_type.records import CaseRecord, FailedTrialRecord, TrialRecord
from mlpstorage_bench.errors import EmptyWindowError, StorageError
from mlpstorage_bench.kvcache.benchmark import KV_CACHE
from mlpstorage_bench.kvcache.cache.tier import TierAccount
from mlpstorage_bench.kvcache.config.profile_file import load_profile
from mlpstorage_bench.kvcache.config.request_counters import ClassCounters, RequestCounters
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.case_result import KVCacheResult
from mlpstorage_bench.kvcache.results.notes import notes_on
from mlpstorage_bench.kvcache.results.pooling import pool_case, pool_samples, pool_trial
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.results.reference_rank import rank_result
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.results.trial_result import TrialResult
from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.measure.clock_offset import WindowEdges
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.device import (
    BlockDevice,
    DeviceCount,
    DeviceTraffic,
    Underlying,
    UnderlyingTraffic,
)
from mlpstorage_bench.measure.lane_time import LaneTime
from mlpstorage_bench.measure.operation_statistics import OperationKey, OperationStatistics
from mlpstorage_bench.measure.stragglers import Straggler
from mlpstorage_bench.units import GIB
from tests.results.v3_reader import RANK, RANK_SUMMARY, keys_of_cache_stats

MS = 1_000_000
WORKLOAD = Workload(model="llama3.1-8b", num_users=4, duration=2.0)


def operation(gib: float, device_ms: list[int]) -> OperationStatistics:
    moved = round(gib * GIB)
    made = OperationStatistics(
        moved, chunks=8, verified_chunks=8, submitted_bytes=moved, completed_bytes=moved
    )
    for value in device_ms:
        made.device.record(value * MS)
        made.host.record(2 * value * MS)
        made.host_only.record(value * MS)
        made.chunk.record(value * MS)
    return made


def rank_trial(
    rank: int,
    read_gib: float = 2.0,
    device_ms: list[int] | None = None,
    requests: int = 10,
    storage_entries: int = 5,
) -> RankTrial:
    statistics = RequestCounters(requests=requests, generated_tokens=100 * requests)
    for number in range(10):
        statistics.count_lookup("answer", GIB, "storage" if number < 9 else None)
    for number in range(requests):
        statistics.latency.record((number + 1) * 10 * MS)
        statistics.cache_io.record((number + 1) * 5 * MS)
    return RankTrial(
        rank=rank,
        host=f"h{rank}",
        opened_at=0.0,
        window_s=2.0,
        drain_s=0.01 * (rank + 1),
        closed_by="duration",
        io_mode="direct",
        in_flight=1,
        chunk_bytes=1 << 20,
        requests=statistics,
        operations={
            OperationKey("storage", "read", "1 GiB and more"): operation(
                read_gib, device_ms or [10] * 100
            ),
            OperationKey("storage", "write", "1 to 16 MiB"): operation(0.5, [20] * 10),
        },
        arrived=requests,
        unserved=0,
        lateness=None,
        tiers={"storage": TierAccount(storage_entries, 0, 0, 0, 0)},
        process_traffic=Traffic(round(read_gib * GIB / (1 + 0.002 * rank)), GIB // 2),
        device_traffic=None,
        cpu_s=0.5,
        peak_rss_bytes=100 + rank,
        corruption="",
        lane_time=LaneTime(
            total_s=2.0, cpu_s=0.4, queued_s=0.1, lock_s=0.1, request_s=0.2, late_s=0.15
        ),
    )


def case_of(*trials: TrialResult) -> KVCacheResult:
    """Return a case of these trials, without their samples."""
    return pool_case("1", trials, pool_samples(PooledHistograms()))


def test_metrics_are_attributes_with_types() -> None:
    trial = pool_trial(1, [rank_trial(0)])
    assert_type(trial.read_gib_s, float | None)
    assert_type(trial.requests, int)
    assert_type(trial.hit_rate, float | None)
    assert_type(trial.steady, bool | None)
    assert_type(trial.latencies.read_p95_ms, float | None)
    assert_type(case_of(trial).read_gib_s, float)
    assert_type(case_of(trial).latencies.read_p95_ms, float | None)
    assert trial.read_gib_s == trial.metrics()["read_gib_s"]
    assert trial.latencies.read_p95_ms == trial.metrics()["read_p95_ms"]


def test_rates_of_ranks_add_up_and_percentiles_are_of_all_samples() -> None:
    slow = rank_trial(1, device_ms=[100] * 100)
    pooled = pool_trial(1, [rank_trial(0, device_ms=[10] * 300), slow])
    assert pooled.read_gib_s == pytest.approx(2.0)
    assert pooled.write_gib_s == pytest.approx(0.5)
    assert (pooled.requests, pooled.requests_per_s) == (20, 10.0)
    assert pooled.read_bytes == 4 * GIB
    assert pooled.latencies.read_p50_ms == pytest.approx(10, rel=0.008)
    assert pooled.latencies.read_p95_ms == pytest.approx(100, rel=0.008)
    assert pooled.hit_rate == 0.9
    assert pooled.cpu_s_per_gib == pytest.approx(1.0 / 5)
    assert pooled.audit_ratio == pytest.approx(1.0016, abs=1e-4)
    assert (pooled.audit_verdict, pooled.peak_rss_bytes, pooled.drain_s) == ("ok", 101, 0.02)
    assert pooled.round_s == 0.1


def in_flight_at_readings(rank: RankTrial, size: int) -> RankTrial:
    """Return the record of a rank that had so many bytes in flight when counters were read."""
    operations = {
        key: dataclasses.replace(part, submitting_bytes=size, completing_bytes=size)
        for key, part in rank.operations.items()
    }
    return dataclasses.replace(rank, operations=operations)


def test_many_chunks_in_flight_do_not_hide_page_cache_reads() -> None:
    deep = dataclasses.replace(
        rank_trial(0, read_gib=1.0),
        lanes=16,
        in_flight=16 * 16,
        process_traffic=Traffic(3 * GIB // 4, GIB // 2),
    )
    deep = in_flight_at_readings(deep, 256 << 20)
    assert deep.audit.verdict == "served from page cache"
    assert deep.audit.cached_bytes == GIB // 4


def test_trial_has_the_worst_audit_of_its_ranks() -> None:
    cached = dataclasses.replace(rank_trial(1), process_traffic=Traffic(GIB, GIB // 2))
    pooled = pool_trial(1, [rank_trial(0), cached])
    assert pooled.audit_verdict == "served from page cache"
    assert pooled.audit_ratio == pytest.approx(2.5 / 1.5)
    assert pooled.page_cache_bytes == GIB
    assert "50.0% of reads and 0.0% of writes" in pooled.audit_reason


def on_device(
    rank: RankTrial, host: str, device: str, traffic: Traffic, read_ms: int = 0
) -> RankTrial:
    count = DeviceCount(
        *(traffic.read_bytes, traffic.write_bytes),
        *(200, read_ms, 100, 0),
    )
    seen = DeviceTraffic(BlockDevice(device, "sd" + device), count)
    return dataclasses.replace(rank, host=host, device_traffic=seen, counted_s=2.0)


def test_host_audit_compares_a_device_with_all_ranks_that_share_it() -> None:
    both = Traffic(4 * GIB, GIB)
    ranks = [
        on_device(rank_trial(0), "h0", "8:0", both),
        on_device(rank_trial(1), "h0", "8:0", both),
        on_device(rank_trial(2), "h1", "8:0", Traffic(2 * GIB, GIB // 2)),
    ]
    pooled = pool_trial(1, ranks)
    assert (pooled.host_audit_ratio, pooled.host_audit_verdict) == (1.0, "ok")
    others = on_device(rank_trial(2), "h1", "8:0", Traffic(4 * GIB, GIB))
    pooled = pool_trial(1, [*ranks[:2], others])
    assert (pooled.host_audit_ratio, pooled.host_audit_verdict) == (0.5, "foreign traffic")
    assert pooled.host_audit_reason.startswith("50.0% of the traffic of sd8:0 on h1")
    assert pooled.audit_verdict == "ok"


BOTTOM = Underlying((BlockDevice("254:0", "vda"),))


def on_bottom(rank: RankTrial, underlying: Underlying, traffic: Traffic | None) -> RankTrial:
    return dataclasses.replace(rank, underlying_traffic=UnderlyingTraffic(underlying, traffic))


@pytest.mark.parametrize(
    ("underlying", "traffic", "verdict", "reason"),
    [
        (BOTTOM, Traffic(2 * GIB, GIB // 2), "ok", ""),
        (BOTTOM, Traffic(4 * GIB, GIB), "ok", ""),  # a mirror, or others on the same disks
        (BOTTOM, Traffic(GIB // 2, GIB // 2), "served from page cache", "75.0% of reads and 0.0%"),
        (BOTTOM, Traffic(2 * GIB, 0), "served from page cache", "100.0% of writes never reached"),
        (BOTTOM, None, "not measurable", "vda on h0 does not count"),
        (Underlying(memory="zram0 is memory"), Traffic(0, 0), "in memory", "zram0 is memory"),
        (Underlying(unknown="loop0 lies on x"), None, "not measurable", "loop0 lies on x"),
    ],
)
def test_bytes_that_do_not_reach_the_bottom_show_in_the_headline(
    underlying: Underlying, traffic: Traffic | None, verdict: str, reason: str
) -> None:
    rank = on_device(rank_trial(0), "h0", "7:0", Traffic(2 * GIB, GIB // 2))
    pooled = pool_trial(1, [on_bottom(rank, underlying, traffic)])
    assert (pooled.audit_verdict, pooled.host_audit_verdict) == (verdict, verdict)
    assert reason in pooled.audit_reason
    if verdict in ("served from page cache", "in memory"):
        assert any(reason in note for note in case_of(pooled).notes())


def test_filesystem_without_a_device_of_its_own_has_the_audit_of_its_bottom() -> None:
    rank = on_bottom(rank_trial(0), BOTTOM, Traffic(2 * GIB, GIB // 2))
    pooled = pool_trial(1, [rank])
    assert (pooled.host_audit_verdict, pooled.host_audit_ratio) == ("ok", None)


def test_traffic_of_others_at_the_bottom_does_not_confirm_what_nothing_else_counts() -> None:
    buffered = dataclasses.replace(rank_trial(0), io_mode="buffered")
    writes = {key: part for key, part in buffered.operations.items() if key.kind == "write"}
    prefill = dataclasses.replace(buffered, operations=writes)
    alone = pool_trial(1, [on_bottom(prefill, BOTTOM, Traffic(0, GIB // 2))])
    assert alone.audit_verdict == "ok"
    beside_others = pool_trial(1, [on_bottom(prefill, BOTTOM, Traffic(0, GIB))])
    assert beside_others.audit_verdict == "bounded"
    assert "neither refutes nor confirms" in beside_others.audit_reason
    counted = pool_trial(1, [on_bottom(rank_trial(0), BOTTOM, Traffic(4 * GIB, GIB))])
    assert counted.audit_verdict == "ok"  # the counters of the process confirm it


@pytest.mark.parametrize("io_mode", ["buffered", "uncached"])
def test_cached_writes_are_not_audited_by_the_process(io_mode: Any) -> None:
    buffered = dataclasses.replace(rank_trial(0), io_mode=io_mode)
    assert (buffered.audit.verdict, buffered.audit.ratio) == ("ok", 1.0)
    unwritten = dataclasses.replace(buffered, process_traffic=Traffic(2 * GIB, 0))
    assert unwritten.audit == buffered.audit
    writes = {key: part for key, part in buffered.operations.items() if key.kind == "write"}
    prefill = dataclasses.replace(buffered, operations=writes)
    assert prefill.audit.verdict == "not measurable"
    assert "in the page cache" in prefill.audit.reason
    cached = on_device(prefill, "h0", "8:0", Traffic(0, GIB // 4))
    assert pool_trial(1, [cached]).audit_verdict == "served from page cache"
    written = on_device(prefill, "h0", "8:0", Traffic(0, GIB // 2))
    assert pool_trial(1, [written]).audit_verdict == "ok"


def test_each_buffered_chunk_in_flight_may_be_counted_after_its_submission() -> None:
    lanes = dataclasses.replace(rank_trial(0), lanes=2, in_flight=8)
    assert lanes.being_submitted == lanes.doubtful == Traffic(0, 0)
    direct = in_flight_at_readings(lanes, 32 << 20)
    assert direct.being_submitted == Traffic(2 << 20, 2 << 20)
    assert direct.doubtful == Traffic(32 << 20, 32 << 20)
    buffered = dataclasses.replace(direct, io_mode="buffered")
    assert buffered.being_submitted == Traffic(8 << 20, 8 << 20)
    few = in_flight_at_readings(buffered, 4096)
    assert few.being_submitted == Traffic(4096, 4096)


def test_traffic_of_other_programs_is_what_no_rank_of_the_host_moved() -> None:
    both = Traffic(4 * GIB, GIB)
    ranks = [
        on_device(rank_trial(0), "h0", "8:0", both),
        on_device(rank_trial(1), "h0", "8:0", both),
    ]
    quiet = pool_trial(1, ranks)
    assert (quiet.foreign_gib_s, quiet.foreign_traffic_on) == (0.0, "")
    others = on_device(rank_trial(2), "h1", "8:0", Traffic(6 * GIB, GIB))
    busy = pool_trial(1, [*ranks, others])
    least = 4.5 - 0.07
    assert busy.foreign_gib_s == pytest.approx(least / 2)
    assert busy.foreign_traffic_on == "sd8:0 on h1"
    assert busy.conditions.others_gib_s == busy.foreign_gib_s
    assert busy.conditions.moved_gib_s == pytest.approx(3.75)


def test_traffic_of_other_programs_is_divided_by_the_time_in_which_it_was_counted() -> None:
    """Windows that end with the work are shorter than that, each by another time."""
    counted = Traffic(6 * GIB, GIB)
    ranks = [on_device(rank_trial(number), "h0", "8:0", counted) for number in (0, 1)]
    ranks = [dataclasses.replace(one, window_s=0.1, counted_s=0.2) for one in ranks]
    assert pool_trial(1, ranks).foreign_gib_s == pytest.approx((2 - 0.07) / 0.2)


def test_read_ahead_of_a_rank_is_not_traffic_of_other_programs() -> None:
    ahead = dataclasses.replace(rank_trial(0), process_traffic=Traffic(4 * GIB, GIB // 2))
    pooled = pool_trial(1, [on_device(ahead, "h0", "8:0", Traffic(4 * GIB, GIB // 2))])
    assert pooled.host_audit_verdict == "foreign traffic"
    assert pooled.foreign_gib_s == 0.0


def test_traffic_beside_the_filesystem_counts_if_it_lies_on_one_device() -> None:
    rank = on_device(rank_trial(0), "h0", "8:1", Traffic(2 * GIB, GIB // 2))
    busy = Traffic(6 * GIB, GIB // 2)
    pooled = pool_trial(1, [on_bottom(rank, BOTTOM, busy)])
    assert pooled.foreign_gib_s == pytest.approx((4 - 0.065) / 2)
    assert pooled.foreign_traffic_on == "vda on h0"
    mirror = Underlying((*BOTTOM.devices, BlockDevice("254:16", "vdb")))
    assert pool_trial(1, [on_bottom(rank, mirror, busy)]).foreign_gib_s == 0.0


def test_conditions_name_stragglers_and_what_is_missing_because_of_them() -> None:
    ranks = [dataclasses.replace(rank_trial(n, requests=20), users=4) for n in range(3)]
    slow = dataclasses.replace(
        rank_trial(3, read_gib=0.25, device_ms=[100] * 100), users=4, throttled_share=0.25
    )
    conditions = pool_trial(1, [*ranks, slow]).conditions
    (named,) = conditions.stragglers
    assert named.startswith("rank 3 on h3 is slow: it moved 30% of")
    assert conditions.missing_share == pytest.approx(1.75 / 10)
    assert conditions.denied_share == 0.25
    assert pool_trial(1, ranks).conditions.missing_share == 0.0


def test_host_without_block_device_is_not_measurable() -> None:
    pooled = pool_trial(1, [rank_trial(0)])
    assert (pooled.host_audit_ratio, pooled.host_audit_verdict) == (None, "not measurable")
    assert "the filesystem on h0" in pooled.host_audit_reason


def test_ceiling_of_all_ranks_decides_what_limits() -> None:
    roomy = Ceiling(operations_per_s=100.0, gib_s=12.5)  # 8 chunks and 1.25 GiB/s were measured
    low = Ceiling(operations_per_s=9.0, gib_s=12.5)
    for ceiling, ratio, bound in ((roomy, 0.1, "storage"), (low, 8 / 9, "harness")):
        ranks = [dataclasses.replace(rank_trial(n), ceiling=ceiling) for n in range(2)]
        pooled = pool_trial(1, ranks)
        assert pooled.ceiling_ratio == pytest.approx(ratio)
        assert pooled.limited_by == bound
        assert pooled.ceiling_gib_s == 25.0
    waits = LaneTime(total_s=2.0, cpu_s=0.1, queued_s=0.0, lock_s=0.0, request_s=1.5)
    idle = dataclasses.replace(rank_trial(0), ceiling=roomy, lane_time=waits)
    assert pool_trial(1, [idle]).limited_by == "load"
    partly = [dataclasses.replace(rank_trial(0), ceiling=roomy), rank_trial(1)]
    assert (pool_trial(1, partly).ceiling_ratio, pool_trial(1, partly).limited_by) == (
        None,
        "not calibrated",
    )


def limited(spent: LaneTime | None, read_ms: int = 0) -> TrialResult:
    """Return a trial far below its ceiling whose device was busy for some of 2 s."""
    roomy = Ceiling(operations_per_s=100.0, gib_s=12.5)
    rank = dataclasses.replace(rank_trial(0), ceiling=roomy, lane_time=spent)
    return pool_trial(1, [on_device(rank, "h0", "8:0", Traffic(2 * GIB, GIB // 2), read_ms)])


def test_lanes_that_wait_for_each_other_are_limited_by_the_harness() -> None:
    spent = LaneTime(2.0, cpu_s=0.4, queued_s=0.2, lock_s=0.3, request_s=0.0, thread_s=0.5)
    trial = limited(spent, 200)
    assert (trial.limited_by, trial.device_share) == ("harness", 0.1)
    assert (trial.harness_time_share, trial.storage_wait_share) == pytest.approx((0.7, 0.3))
    assert (trial.thread_wait_share, trial.lock_wait_share) == pytest.approx((0.25, 0.15))
    assert (trial.block_layer_read_ms, trial.block_layer_write_ms) == (1.0, 0.0)
    (note,) = [note for note in case_of(trial).notes() if "limited by" in note]
    assert "70% of the time on work of this host, of it 25% waiting while another lane" in note
    assert "10% for a processor and 15% for Python's lock" in note


def test_limit_of_some_trials_says_of_how_many() -> None:
    harness = limited(LaneTime(total_s=2.0, cpu_s=1.8, queued_s=0.0, lock_s=0.0, request_s=0.0))
    load = limited(LaneTime(total_s=2.0, cpu_s=0.2, queued_s=0.0, lock_s=0.0, request_s=1.8))
    notes = notes_on([load, harness, load])
    assert any(note.startswith("limited by: harness in 1 of 3 trials (") for note in notes)


def test_result_above_its_ceiling_says_that_the_ceiling_is_too_low() -> None:
    low = Ceiling(operations_per_s=100.0, gib_s=0.01)
    rank = dataclasses.replace(rank_trial(0), ceiling=low, lane_time=None)
    notes = notes_on([pool_trial(1, [rank])])
    assert any("of the harness ceiling" in n and "measured too low" in n for n in notes)


def test_window_that_a_limit_closed_says_how_to_lengthen_it() -> None:
    rank = dataclasses.replace(rank_trial(0), closed_by="write limit", window_s=0.22)
    notes = notes_on([pool_trial(1, [rank])])
    assert (
        "the write limit closed 1 of 1 windows after 0.22 s. Raise write_limit_gb for windows of "
        "the whole duration"
    ) in notes


@pytest.mark.parametrize(("read_ms", "is_noted"), [(1100, False), (100, True)])
def test_lanes_that_wait_for_storage_while_devices_are_idle_are_limited_above_them(
    read_ms: int, *, is_noted: bool
) -> None:
    spent = LaneTime(total_s=2.0, cpu_s=0.1, queued_s=0.0, lock_s=0.0, request_s=0.0)
    trial = limited(spent, read_ms)
    assert trial.limited_by == "storage"
    case = case_of(trial)
    assert any("devices were busy for only 5%" in note for note in case.notes()) == is_noted
    assert case.metrics()["device_share"] == pytest.approx(read_ms / 2000)


@pytest.mark.parametrize(
    ("underlying", "traffic", "limit"),
    [
        (Underlying((BlockDevice("254:0", "vda"),)), Traffic(2 * GIB, GIB // 2), "storage"),
        (Underlying((BlockDevice("254:0", "vda"),)), Traffic(0, GIB // 2), "harness"),
        (Underlying(memory="loop0 lies on tmpfs"), Traffic(0, 0), "harness"),
    ],
)
def test_waits_for_what_memory_has_are_limited_by_the_host(
    underlying: Underlying, traffic: Traffic, limit: str
) -> None:
    roomy = Ceiling(operations_per_s=100.0, gib_s=12.5)
    spent = LaneTime(total_s=2.0, cpu_s=0.1, queued_s=0.0, lock_s=0.0, request_s=0.0)
    rank = dataclasses.replace(rank_trial(0), ceiling=roomy, lane_time=spent)
    trial = pool_trial(1, [on_bottom(rank, underlying, traffic)])
    assert trial.limited_by == limit
    notes = case_of(trial).notes()
    assert any("this host's memory had" in note for note in notes) == (limit == "harness")


@pytest.mark.parametrize(("in_flight", "limit"), [(0, "harness"), (1, "storage")])
def test_waits_without_an_operation_on_storage_are_for_other_lanes(
    in_flight: int, limit: str
) -> None:
    spent = LaneTime(total_s=2.0, cpu_s=0.1, queued_s=0.0, lock_s=0.0, request_s=0.0)
    roomy = Ceiling(operations_per_s=100.0, gib_s=12.5)
    key = OperationKey("storage", "write", "1 to 16 MiB")
    unended = {
        key: OperationStatistics(in_flight_at_close=in_flight),
        key._replace(tier="cpu"): operation(1, [10]),
    }
    rank = dataclasses.replace(rank_trial(0), ceiling=roomy, lane_time=spent, operations=unended)
    assert pool_trial(1, [rank]).limited_by == limit


def test_limit_is_unknown_where_the_kernel_shows_too_little() -> None:
    trial = limited(None)
    assert (trial.limited_by, trial.storage_wait_share) == ("unknown", None)
    assert any("limited by: unknown" in note for note in case_of(trial).notes())


def test_waits_inside_transfers_make_spans_too_long() -> None:
    spent = LaneTime(2.0, cpu_s=0.4, queued_s=0.4, lock_s=0.5, request_s=0.0, late_s=0.12)
    spans_s = 100 * 0.01 + 10 * 0.02
    assert limited(spent).latency_overestimate_share == pytest.approx(0.12 / spans_s)
    everything = dataclasses.replace(spent, late_s=2.0)
    assert limited(everything).latency_overestimate_share == 1


@pytest.mark.parametrize(
    ("samples", "spans", "longer"),
    [
        (0, 0, 4),  # all that a thread has in flight
        (1, 1, (1 + 4) / 2),
        (99, 196, 2),
        (99, 3000, 4),
    ],
)
def test_wait_inside_a_transfer_makes_longer_as_many_spans_as_samples_say(
    samples: int, spans: int, longer: float
) -> None:
    rank = rank_trial(0)
    assert rank.lane_time is not None
    spent = dataclasses.replace(rank.lane_time, late_samples=samples, late_spans=spans)
    rank = dataclasses.replace(rank, lane_time=spent, lanes=4, movers=2, in_flight=8)
    spans_s = 100 * 0.01 + 10 * 0.02
    trial = pool_trial(1, [rank])
    assert trial.latency_overestimate_share == pytest.approx(longer * 0.15 / spans_s)


def test_overestimate_is_unknown_where_the_kernel_shows_too_little() -> None:
    unknown = dataclasses.replace(rank_trial(1), lane_time=None)
    trial = pool_trial(1, [rank_trial(0), unknown])
    assert trial.latency_overestimate_share is None
    assert "latency_overestimate_share" in case_of(trial).metrics()


@pytest.mark.parametrize(
    ("drain_s", "longest_ms", "is_noted"), [(5.0, 20, True), (5.0, 6000, False), (0.9, 20, False)]
)
def test_stall_at_the_close_of_a_window_is_noted(
    drain_s: float, longest_ms: int, *, is_noted: bool
) -> None:
    rank = dataclasses.replace(rank_trial(0, device_ms=[longest_ms] * 100), drain_s=drain_s)
    notes = case_of(pool_trial(1, [rank])).notes()
    assert any("took 5.0 s to end, longer than whole" in note for note in notes) == is_noted


def test_device_without_times_has_no_device_share() -> None:
    pooled = pool_trial(1, [on_device(rank_trial(0), "h0", "8:0", Traffic(GIB, GIB))])
    assert (pooled.device_share, pooled.block_layer_read_ms) == (None, None)


def test_latencies_are_grouped_by_size_of_entries() -> None:
    by_size = pool_trial(1, [rank_trial(0), rank_trial(1)]).by_size
    assert list(by_size["read"]) == ["1 GiB and more"]
    assert by_size["read"]["1 GiB and more"]["entries"] == 200
    assert by_size["write"]["1 to 16 MiB"]["p95_ms"] == pytest.approx(20, rel=0.008)


def test_corrupt_read_is_counted_and_reported_with_its_rank() -> None:
    wrong = dataclasses.replace(rank_trial(1), corruption="at offset 7")
    wrong.requests.corrupt_reads = 3
    pooled = pool_trial(1, [rank_trial(0), wrong])
    assert (pooled.corrupt_reads, pooled.corruption) == (3, "rank 1 on h1: at offset 7")
    assert pooled.metrics()["corrupt_reads"] == 3


def test_window_without_traffic_is_an_error() -> None:
    empty = dataclasses.replace(rank_trial(0, requests=0), operations={})
    with pytest.raises(EmptyWindowError, match=r"Nothing was read or written .* 2.0 s"):
        pool_trial(1, [empty])


def test_window_without_requests_has_a_lower_bound_and_a_note() -> None:
    pooled = pool_trial(1, [rank_trial(0, requests=0)])
    assert (pooled.requests_per_s, pooled.round_s) == (0.0, 2.0)
    result = case_of(pooled)
    assert any("lower bound" in note for note in result.notes())


def test_case_has_mean_least_and_greatest_and_pools_its_trials() -> None:
    first = [rank_trial(0, read_gib=2.0, device_ms=[10] * 300)]
    second = [rank_trial(0, read_gib=4.0, device_ms=[100] * 100)]
    trials = (pool_trial(1, first), pool_trial(2, second))
    metrics = pool_case("1", trials, pool_samples(PooledHistograms.of(first + second))).metrics()
    assert (metrics["read_gib_s_min"], metrics["read_gib_s"], metrics["read_gib_s_max"]) == (
        pytest.approx(1.0),
        pytest.approx(1.5),
        pytest.approx(2.0),
    )
    assert metrics["read_p50_ms"] == pytest.approx(10, rel=0.008)
    assert metrics["read_p95_ms"] == pytest.approx(100, rel=0.008)
    assert metrics["read_bytes"] == 6 * GIB


def test_rank_result_has_the_keys_of_the_reference_in_order() -> None:
    result: Any = rank_result(WORKLOAD, 1, rank_trial(0))
    assert list(result) == [*RANK, "mlpstorage"]
    assert list(result["summary"]) == list(RANK_SUMMARY)
    stats = result["summary"]["cache_stats"]
    assert list(stats) == keys_of_cache_stats(stats)
    assert "storage_read_p95_ms" in stats
    assert "cpu_read_p95_ms" not in stats, "a tier that was not used has no latencies"


def test_rank_result_has_the_measured_values() -> None:
    summary: Any = rank_result(WORKLOAD, 1, rank_trial(0))["summary"]
    stats = summary["cache_stats"]
    assert stats["tier_storage_kv_bytes_read_gb"] == 2.0
    assert stats["tier_storage_read_bandwidth_gbps"] == 1.0
    assert stats["storage_read_p95_ms"] == pytest.approx(20, rel=0.008)
    assert stats["storage_read_device_p95_ms"] == pytest.approx(10, rel=0.008)
    assert stats["storage_read_host_p95_ms"] == pytest.approx(10, rel=0.008)
    assert stats["cache_hit_rate"] == 0.9
    assert summary["total_storage_io_time"] == pytest.approx(0.275)
    assert summary["storage_throughput_tokens_per_sec"] == pytest.approx(1000 / 0.275)
    assert summary["avg_throughput_tokens_per_sec"] == 500


def test_bytes_of_requests_leave_copies_between_tiers_out() -> None:
    rank = rank_trial(0)
    for written in rank.operations.values():
        written.copied_bytes = GIB // 4
    stats = cache_stats(rank)
    assert (stats["total_read_gb"], stats["total_write_gb"]) == (1.75, 0.25)
    assert stats["read_write_ratio"] == 7
    assert stats["tier_storage_kv_bytes_written_gb"] == 0.5
    assert stats["storage_tokens_processed"] == 2.5 * GIB / WORKLOAD.bytes_per_token


def test_memory_of_a_tier_is_what_its_entries_hold_at_the_end() -> None:
    account = TierAccount(3, 7, 5 * GIB, 2 * GIB, 4 * GIB)
    rank = rank_trial(0)
    stats = cache_stats(dataclasses.replace(rank, tiers={**rank.tiers, "cpu": account}))
    assert (stats["cpu_entries"], stats["cpu_memory_used_gb"], stats["offloads_cpu"]) == (3, 3.0, 7)
    assert stats["gpu_memory_used_gb"] == 0.0


def test_class_without_requests_has_no_latencies() -> None:
    rank = rank_trial(0)
    rank.requests.classes["batch"] = served = ClassCounters(within_target=1)
    served.latency.record(10 * MS)
    served.latency.record(2000 * MS)
    result: Any = rank_result(WORKLOAD, 1, rank)
    of_class = result["summary"]["qos_metrics"]
    assert list(of_class) == ["interactive", "responsive", "batch"]
    assert of_class["interactive"]["latency_ms"]["p95"] is None
    assert of_class["batch"]["latency_ms"]["max"] == 2000
    assert of_class["batch"]["sla"]["compliance"] == 0.5
    assert (of_class["batch"]["sla"]["target_p95_ms"], of_class["batch"]["sla"]["met"]) == (
        1000,
        False,
    )


def test_health_has_a_criterion_for_each_thing_that_was_used() -> None:
    health: Any = cache_stats(rank_trial(0))["storage_health"]
    assert [one["passed"] for one in health["criteria"]] == [True, True, True]
    assert (health["overall_status"], health["passed_count"], health["total_count"]) == (
        *("PASS", 3, 3),
    )
    slow: Any = cache_stats(rank_trial(0, device_ms=[300] * 20))["storage_health"]
    assert (slow["overall_status"], slow["passed_count"]) == ("FAIL", 2)


LEAF = Path("/results/20261101_120000")
STARTED = datetime.fromtimestamp(0.0).astimezone().strftime("%Y%m%d_%H%M%S")
SANCTIONED = load_profile("mlperf").workloads["1"].model_dump()


def summary_of(
    trials: list[list[RankTrial]],
    planned: int,
    ranks: int,
    parameters: dict[str, Any] = SANCTIONED,
) -> dict[str, object]:
    records = tuple(
        TrialRecord(number, {}, [rank_result(WORKLOAD, number, rank) for rank in trial])
        for number, trial in enumerate(trials, 1)
    )
    case = CaseRecord("kv_cache", "1", planned, parameters, records, option=1)
    made: Any = KV_CACHE.summarise(
        [case],
        directory=LEAF,
        npernode=2,
        host_count=1,
        total_ranks=ranks,
    )
    summary: dict[str, object] = made["options"]["1"]
    assert made["partial_failure"] == summary["partial_failure"]
    return {**summary, **made["mlpstorage"]["cases"]["1"]}


def test_summary_sums_bandwidth_over_ranks_averages_trials_and_takes_the_greatest_p95() -> None:
    trials = [
        [rank_trial(0, 2.0), rank_trial(1, 4.0, device_ms=[50] * 10)],
        [rank_trial(0, 6.0), rank_trial(1, 8.0)],
    ]
    summary = summary_of(trials, planned=2, ranks=2)
    assert summary["aggregated_read_bandwidth_gbps"] == pytest.approx((3 + 7) / 2)
    assert summary["aggregated_device_read_p95_ms"] == pytest.approx(50, rel=0.008)
    assert summary["aggregated_avg_throughput_tokens_per_sec"] == pytest.approx(1000)
    assert (summary["rank_count"], summary["trial_count"]) == (2, 2)
    assert (summary["partial_failure"], summary["missing_files"]) == (False, [])


def cache_stats(rank: RankTrial) -> dict[str, Any]:
    result: Any = rank_result(WORKLOAD, 1, rank)
    stats: dict[str, Any] = result["summary"]["cache_stats"]
    return stats


def in_memory(rank: int) -> RankTrial:
    """Return the record of a rank that moved nothing from or to storage."""
    return dataclasses.replace(rank_trial(rank, storage_entries=0), operations={})


def test_rank_that_stayed_in_memory_is_named_and_its_tokens_count() -> None:
    summary = summary_of([[rank_trial(0, 2.0), in_memory(1)]] * 3, 3, 2)
    assert summary["cpu_tier_ranks"] == [
        f"{LEAF}/option_1/trial_{trial}/rank_1/kvcache_results_{STARTED}.json"
        for trial in (0, 1, 2)
    ]
    assert summary["aggregated_read_bandwidth_gbps"] == pytest.approx(1.0)
    assert summary["aggregated_avg_throughput_tokens_per_sec"] == pytest.approx(1000)
    assert (summary["valid"], summary["not_valid_because"]) == (True, [])


def test_case_whose_entries_were_all_evicted_is_valid_if_it_moved_bytes() -> None:
    """The reference takes its ranks for ranks that stayed in memory."""
    summary = summary_of([[rank_trial(0, 4.0, storage_entries=0)]] * 3, 3, 1)
    assert len(cast("list[str]", summary["cpu_tier_ranks"])) == 3
    assert summary["aggregated_read_bandwidth_gbps"] == pytest.approx(2.0)
    assert summary["aggregated_write_bandwidth_gbps"] == pytest.approx(0.25)
    assert summary["valid"] is True


def test_workload_whose_ranks_all_stayed_in_memory_is_not_valid() -> None:
    summary = summary_of([[in_memory(0)]] * 3, 3, 1)
    assert (summary["valid"], summary["aggregated_read_bandwidth_gbps"]) == (False, 0)
    assert summary["not_valid_because"] == ["no rank moved anything from or to storage"]


def test_option_without_results_has_no_aggregates_and_names_all_that_is_missing() -> None:
    summary = summary_of([], planned=2, ranks=1)
    assert {value for name, value in summary.items() if name.startswith("aggregated")} == {None}
    assert summary["missing_files"] == [f"{LEAF}/option_1/trial_{n}/rank_0" for n in (0, 1)]
    assert (summary["rank_count"], summary["trial_count"]) == (1, 2)


def test_failed_trial_is_counted_from_0() -> None:
    failed = FailedTrialRecord(2, {}, (), failure="a disk")
    case = CaseRecord("kv_cache", "2", 3, SANCTIONED, failed_trial=failed, option=2)
    made: Any = KV_CACHE.summarise([case], directory=LEAF, npernode=1, host_count=1, total_ranks=1)
    assert made["trial_failures"] == {"2": [{"trial": 1, "exit_code": 1, "stderr_log": None}]}
    assert made["partial_failure"] is True


def test_case_without_a_number_is_no_option_and_lies_apart() -> None:
    case = CaseRecord("kv_cache", "rag", 1, SANCTIONED)
    made: Any = KV_CACHE.summarise([case], directory=LEAF, npernode=1, host_count=1, total_ranks=1)
    assert (made["options"], made["trials_per_option"], made["partial_failure"]) == ({}, 0, False)
    own = made["mlpstorage"]["cases"]["rag"]
    assert own["missing_files"] == [f"{LEAF}/case_rag/trial_0/rank_0"]
    assert own["valid"] is False


def test_simulation_is_not_valid_and_has_no_aggregates() -> None:
    simulated = dataclasses.replace(rank_trial(0), is_simulated=True)
    summary = summary_of([[simulated]] * 3, 3, 1)
    assert summary["valid"] is False
    assert {value for name, value in summary.items() if name.startswith("aggregated")} == {None}


def test_workload_that_is_not_the_sanctioned_one_is_not_valid_and_says_how() -> None:
    shortened = {**SANCTIONED, "duration": 6.0, "title": "any"}
    summary = summary_of([[rank_trial(0)]], 1, 1, shortened)
    assert summary["valid"] is False
    assert summary["not_valid_because"] == [
        "differs from the sanctioned workload: duration, trials"
    ]


def standing_of(*trials: dict[str, Any], options: tuple[str, ...] = ("1",)) -> Standing:
    """Return the standing of a case with these metrics of its trials."""
    records = tuple(
        TrialRecord(number, metrics, [rank_result(WORKLOAD, number, rank_trial(0))])
        for number, metrics in enumerate(trials, 1)
    )
    case = CaseRecord("kv_cache", "1", 3, SANCTIONED, records)
    return KV_CACHE.standing([case], {"options": dict.fromkeys(options)}, 1)


AUDITED: dict[str, Any] = {"audit_verdict": "ok", "audit_reason": "", "corrupt_reads": 0}


def test_audited_case_of_three_trials_stands() -> None:
    assert standing_of(AUDITED, AUDITED, AUDITED) == Standing()


def test_reads_from_the_page_cache_are_an_objection() -> None:
    cached = AUDITED | {"audit_verdict": "served from page cache", "audit_reason": "40 % of reads"}
    measured = standing_of(AUDITED, cached, AUDITED | {"audit_verdict": "foreign traffic"})
    assert measured == Standing(("workload 1: audit: served from page cache: 40 % of reads",))


@pytest.mark.parametrize("verdict", ["not measurable", "foreign traffic", "in memory", "bounded"])
def test_other_verdicts_are_stated_and_no_objection(verdict: str) -> None:
    trial = AUDITED | {"audit_verdict": verdict, "audit_reason": "why"}
    assert standing_of(trial, trial, trial) == Standing(
        unproven=(f"workload 1: audit: {verdict}: why",)
    )


def test_corrupt_reads_and_workloads_that_did_not_run_are_objections() -> None:
    measured = standing_of(AUDITED, AUDITED, AUDITED | {"corrupt_reads": 2}, options=("1", "2"))
    assert measured.objections == (
        "workload 2: it did not run",
        "workload 1: 2 reads found other data than was written",
    )


def test_reference_s_numbers_of_operations_are_no_rates() -> None:
    rank = rank_trial(0)
    rank.requests.prefill_writes = 7
    stats = cache_stats(rank)
    assert (stats["read_iops"], stats["write_iops"]) == (stats["cache_hits"], 7)


def test_missing_rank_results_are_a_partial_failure_that_names_them() -> None:
    summary = summary_of([[rank_trial(0)]], planned=2, ranks=2)
    assert summary["partial_failure"] is True
    assert summary["missing_files"] == [
        f"{LEAF}/option_1/trial_0/rank_1",
        f"{LEAF}/option_1/trial_1/rank_0",
        f"{LEAF}/option_1/trial_1/rank_1",
    ]


@pytest.mark.parametrize(("shares", "percentage"), [((1.0, 0.25), "25%"), ((1.0, None), "")])
def test_buffers_outside_huge_pages_have_a_note(
    shares: tuple[float, float | None], percentage: str
) -> None:
    """Without huge pages the same storage appears slower."""
    ranks = [
        dataclasses.replace(rank_trial(number), huge_page_share=share)
        for number, share in enumerate(shares)
    ]
    trial = pool_trial(1, ranks)
    case = case_of(trial)
    notes = [note for note in case.notes() if "huge pages" in note]
    assert [percentage in note for note in notes] == [True] * bool(percentage)
    assert case.metrics()["huge_page_share"] == [0.25 if percentage else 1.0]


def test_lanes_without_a_queue_have_a_note_with_the_reason() -> None:
    ranks = [
        rank_trial(0),
        dataclasses.replace(rank_trial(1), queue_unavailable_reason="no Linux AIO here"),
    ]
    trial = pool_trial(1, ranks)
    case = case_of(trial)
    assert trial.queue_unavailable_reason == "no Linux AIO here"
    assert any(
        note.startswith("workload 1: each lane had one chunk in flight at most")
        and note.endswith(": no Linux AIO here")
        for note in case.notes()
    )


def test_late_completions_are_counted_with_their_share_of_latency() -> None:
    rank = rank_trial(0, device_ms=[10] * 100)
    reads = rank.operations[OperationKey("storage", "read", "1 GiB and more")]
    reads.late_completions, reads.latency_overestimate_ns = 5, 12 * MS
    trial = pool_trial(1, [rank])
    assert trial.late_completions == 5
    waits_ms = 150  # for Python's lock and for a processor, in transfers
    assert trial.latency_overestimate_share == (12 + waits_ms) / (100 * 10 + 10 * 20)
    case = case_of(trial, trial)
    assert case.metrics()["late_completions"] == 10
    assert case.metrics()["latency_overestimate_share"] == trial.latency_overestimate_share


def test_totals_of_ranks_with_pooled_samples_give_the_same_result() -> None:
    ranks = [rank_trial(n, device_ms=[10 * (n + 1)] * 100) for n in range(5)]
    apart = pool_trial(1, [rank.totals() for rank in ranks], PooledHistograms.of(ranks))
    assert apart == pool_trial(1, ranks)


def test_trial_has_the_failure_of_a_rank_and_the_metrics_of_all() -> None:
    failure = StorageError("reading", "entry.kv", "Input/output error (EIO)")
    failed = dataclasses.replace(rank_trial(1), closed_by="failure", failure=failure)
    pooled = pool_trial(2, [rank_trial(0), failed])
    assert (pooled.closed_by, pooled.failure) == ("failure", failure)
    assert pooled.read_bytes == 4 * GIB
    assert "failure" not in pooled.metrics()
    assert pooled.failure_note("1") == (
        "workload 1: trial 2 failed after 2.00 s of its window. What it had measured until then is "
        "in the metadata as failed_trial (4.00 GiB read, 1.00 GiB written), and in no mean"
    )


def test_failure_before_any_traffic_is_raised_instead_of_an_empty_window() -> None:
    failure = StorageError("creating", "entry.kv", "Read-only file system (EROFS)")
    nothing = dataclasses.replace(rank_trial(0), operations={}, failure=failure)
    with pytest.raises(StorageError, match="EROFS"):
        pool_trial(1, [nothing])


def test_failure_keeps_place_and_message_when_pickled() -> None:
    failure = StorageError("reading", "entry.kv", "it is gone", hint="Look there").with_place(
        "rank 3 on there"
    )
    failure.add_note("on another lane: the same")
    received = pickle.loads(pickle.dumps(failure))  # noqa: S301 - of our own
    assert type(received) is StorageError
    assert str(received) == "rank 3 on there: reading entry.kv failed: it is gone. Look there"
    assert received.__notes__ == ["on another lane: the same"]


def edges(opened_ms: float, closed_ms: float, uncertainty_ms: float) -> WindowEdges:
    return WindowEdges(
        *(round(opened_ms * MS), round(closed_ms * MS), round(uncertainty_ms * MS), 0)
    )


def test_window_spread_is_from_the_first_rank_to_the_last() -> None:
    ranks = [
        dataclasses.replace(rank_trial(0), edges=edges(100.0, 2100.5, 0.0)),
        dataclasses.replace(rank_trial(1), edges=edges(100.25, 2100.25, 0.02)),
        dataclasses.replace(rank_trial(2), edges=edges(99.75, 2100.0, 0.01)),
    ]
    pooled = pool_trial(1, ranks)
    assert (pooled.window_open_spread_ms, pooled.window_close_spread_ms) == (0.5, 0.5)
    assert pooled.clock_uncertainty_ms == 0.02
    assert pool_trial(1, [rank_trial(0)]).window_open_spread_ms is None


def test_straggler_is_in_the_result_and_in_the_notes() -> None:
    slow = rank_trial(3, read_gib=0.25, device_ms=[200] * 100)
    pooled = pool_trial(1, [*(rank_trial(n) for n in range(3)), slow])
    (slowest,) = pooled.stragglers
    assert slowest == Straggler("h3", 3, slowest.share)
    assert slowest.share == pytest.approx(0.3)
    result = case_of(pooled)
    assert (
        "workload 1: trial 1: rank 3 on h3 is slow: it moved 30% of the median rank's bytes in the "
        "same time" in result.notes()
    )
    assert result.metrics()["stragglers"] == [{"trial": 1, **vars(slowest)}]
