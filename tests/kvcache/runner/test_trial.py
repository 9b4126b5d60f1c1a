"""One trial on one rank, on real files."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import CapacityError, PeerError
from mlpstorage_bench.kvcache.results.reference_rank import rank_result
from mlpstorage_bench.kvcache.runner.calibration import calibrate, run_over
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.mpi.ranks import Notice
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.entry_files import EntryFile
from mlpstorage_bench.storage.kernel_queue import Queue
from mlpstorage_bench.storage.null import NullStore
from mlpstorage_bench.storage.store import Observer
from mlpstorage_bench.storage.uncached_io import uncached_refusal
from mlpstorage_bench.units import MIB, NS_PER_S
from tests.trials import SoloRanks, context, corrupt_repeatedly, served, trial, workload
from tests.variants import first_of

pytestmark = pytest.mark.slow

Mount = Callable[[str, str], Path]


def test_trial_counts_its_operations_and_leaves_no_file(tmp_path: Path) -> None:
    result = trial(tmp_path)
    assert result.closed_by == "duration"
    assert result.window_s == pytest.approx(0.4)
    assert result.requests.requests > 0
    assert result.operation("storage", "read").moved_bytes > 0
    assert result.operation("storage", "write").moved_bytes > 0
    assert result.storage.entries > 0
    assert list(tmp_path.iterdir()) == []
    assert result.series is not None
    window = result.series.series().window
    reads, writes = result.stored
    assert (sum(window.read_bytes), sum(window.write_bytes)) == (
        reads.moved_bytes,
        writes.moved_bytes,
    )
    assert (sum(window.reads), sum(window.write_chunks)) == (reads.device.count, writes.chunk.count)


def test_every_chunk_read_was_checked(tmp_path: Path) -> None:
    reads = served(tmp_path).operation("storage", "read")
    assert reads.chunks > 0
    assert abs(reads.verified_chunks - reads.chunks) <= 2 * 4  # those at the window's edges


@pytest.mark.long
def test_lookups_without_eviction_have_no_miss(tmp_path: Path) -> None:
    result = served(tmp_path)
    assert result.storage.evicted_bytes == 0
    assert result.requests.misses == 0
    assert result.requests.hits.total() > 0


def test_small_storage_tier_evicts_and_misses(tmp_path: Path) -> None:
    result = served(tmp_path, capacity=12 * MIB, requests=120)
    assert result.storage.evicted_bytes > 0
    assert result.requests.misses > 0


def test_entries_in_the_memory_tier_are_not_read_from_storage(tmp_path: Path) -> None:
    result = served(tmp_path, cpu_mem_gb=1.0)
    assert result.requests.hits["cpu"] > 0
    assert result.operation("storage", "read").moved_bytes == 0
    assert result.tiers["cpu"].entries > 0
    assert result.storage.entries == 0


def test_write_limit_closes_the_window_of_all_ranks_and_holds(tmp_path: Path) -> None:
    ranks = SoloRanks()
    limited = workload(duration=60.0, write_limit_gb=64 / 1024)  # more than all lanes' entries
    result = run_trial(limited, context(tmp_path), ranks)
    assert (result.closed_by, ranks.announced) == ("write limit", [Notice.CLOSING])
    assert 0 < result.storage.written_bytes <= 64 * MIB
    assert result.window_s < 60


def test_window_closes_when_another_rank_closes(tmp_path: Path) -> None:
    result = run_trial(workload(duration=60.0), context(tmp_path), SoloRanks(closing=True))
    assert result.closed_by == "another rank"
    assert result.window_s < 30


def test_another_rank_that_failed_ends_the_trial(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="rank 3 failed during this trial"):
        run_trial(workload(duration=60.0), context(tmp_path), SoloRanks(failed=(3,)))
    assert list(tmp_path.iterdir()) == []


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"flipped!")


def test_corrupt_reads_are_counted_and_the_first_is_described(tmp_path: Path) -> None:
    here = context(tmp_path)
    done = corrupt_repeatedly(tmp_path, flip)
    try:
        result = run_trial(workload(duration=1.0), here, SoloRanks())
    finally:
        done.set()
    assert result.requests.corrupt_reads > 0
    assert re.search(
        r"[0-9a-f]{32}\.kv failed: at offset 4096 expected .* found", result.corruption
    )


@pytest.mark.parametrize("layout", first_of("block", "entry", "slab"))
@pytest.mark.parametrize("chunks_in_flight", first_of(3, 1))
def test_every_layout_runs_is_audited_and_leaves_no_file(
    tmp_path: Path, layout: str, chunks_in_flight: int
) -> None:
    result = served(tmp_path, layout=layout, chunks_in_flight=chunks_in_flight, tokens_per_block=40)
    assert result.requests.requests > 0
    reads = result.operation("storage", "read")
    assert reads.verified_chunks > 0
    assert result.requests.misses == 0
    assert result.audit.verdict in ("ok", "not measurable"), result.audit.reason
    if result.audit.ratio is not None:
        doubt = result.being_submitted.read_bytes / result.submitted.total
        both_ways = 2 * max(0.01, doubt)
        assert result.audit.ratio == pytest.approx(1, abs=both_ways)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fstype", ["ext4", "xfs"])
def test_direct_io_is_audited_to_a_percent(tmp_path: Path, mount: Mount, fstype: str) -> None:
    make = shutil.which(f"mkfs.{fstype}", path="/usr/sbin:/sbin")
    if make is None:
        pytest.skip(f"needs mkfs.{fstype}")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(400 * MIB)  # xfs needs at least 300 MiB
    subprocess.run([make, "-q", str(image)], check=True)
    folder = mount(fstype, f"loop {image}")
    if not probe_direct_io(folder).is_available:
        pytest.skip("the loop device has no direct I/O")
    result = served(folder, entry_scale=0.02, io_chunk_kib=256)
    verdict = (result.audit.verdict, result.audit.reason)
    assert (result.io_mode, *verdict) == ("direct", "ok", "")
    edges = result.being_submitted.read_bytes / result.submitted.total
    assert result.audit.ratio == pytest.approx(1, abs=0.01 + edges)


@pytest.mark.parametrize("io_mode", ["direct", "buffered"])
def test_chunks_in_flight_are_reported_or_the_reason_against_them(
    tmp_path: Path, io_mode: Any
) -> None:
    if io_mode == "direct" and not probe_direct_io(tmp_path).is_available:
        pytest.skip("this filesystem has no direct I/O")
    there = dataclasses.replace(context(tmp_path), io_mode=io_mode)
    result = run_trial(workload(chunks_in_flight=3), there, SoloRanks())
    assert result.in_flight == (4 if result.queue_unavailable_reason else 4 * 3)
    reasons = {"direct": (), "buffered": ("files go through the page cache",)}
    assert result.queue_unavailable_reason.partition(":")[0].partition(", and")[0] in (
        *("", "no io_uring"),
        *reasons[io_mode],
    )
    assert result.movers == (4 if result.queue_unavailable_reason else 1)


@pytest.mark.parametrize("io_mode", ["buffered", "uncached"])
def test_modes_of_the_page_cache_reach_the_device_and_sync(tmp_path: Path, io_mode: Any) -> None:
    if io_mode == "uncached" and uncached_refusal(tmp_path):
        pytest.skip("this filesystem has no uncached I/O")
    here = dataclasses.replace(context(tmp_path), io_mode=io_mode)
    result = run_trial(workload(durability="fsync"), here, SoloRanks())
    assert result.io_mode == io_mode
    assert result.operation("storage", "write").durability.count > 0
    assert result.audit.verdict != "served from page cache"


def test_flush_of_an_entry_is_in_its_device_span_and_in_the_rank_file(tmp_path: Path) -> None:
    flushed = workload(durability="fsync", requests=20, duration=600.0, chunks_in_flight=1)
    result = run_trial(flushed, context(tmp_path), SoloRanks())
    writes = result.operation("storage", "write")
    assert writes.durability.count == writes.device.count > 0
    assert writes.device.sum_ns >= writes.durability.sum_ns > 0
    stats: Any = rank_result(flushed, 1, result)["summary"]
    median = stats["cache_stats"]["storage_write_device_p50_ms"]
    assert median == writes.device.percentile_ms(50)


def test_pages_that_stay_cached_are_found_by_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not probe_direct_io(tmp_path).is_available or BlockDevice.under(tmp_path) is None:
        pytest.skip("needs a filesystem on a block device")
    monkeypatch.setattr(os, "posix_fadvise", lambda *_: None)  # as a network filesystem may do
    buffered = dataclasses.replace(context(tmp_path), io_mode="buffered")
    result = run_trial(workload(duration=1.0), buffered, SoloRanks())
    assert result.audit.verdict == "served from page cache"
    assert result.audit.cached_bytes > 0.9 * result.reported.read_bytes


def test_latencies_are_kept_by_size_class_and_add_up(tmp_path: Path) -> None:
    result = served(tmp_path, entry_scale=0.05, io_chunk_kib=1024)
    reads = {key: part for key, part in result.operations.items() if key.kind == "read"}
    assert {key.size_class for key in reads} >= {"1 to 16 MiB"}
    total = result.operation("storage", "read")
    assert sum(part.device.count for part in reads.values()) == total.device.count > 0
    assert sum(part.moved_bytes for part in reads.values()) == total.moved_bytes


def test_spans_cover_only_system_calls(tmp_path: Path) -> None:
    result = served(tmp_path)
    reads = result.operation("storage", "read")
    assert reads.verification.count == reads.verified_chunks
    assert reads.durability.count == 0
    assert reads.wait.count == reads.device.count == reads.host.count
    assert reads.device.sum_ns < reads.host.sum_ns  # checks and opening are excluded


@pytest.mark.long
def test_nothing_is_checked_when_the_rate_is_zero(tmp_path: Path) -> None:
    reads = served(tmp_path, verify_rate=0.0).operation("storage", "read")
    assert reads.chunks > 0
    assert reads.verified_chunks == 0


def test_ceiling_is_measured_without_touching_storage(tmp_path: Path) -> None:
    ranks = SoloRanks()
    ceiling = calibrate(workload(calibration=0.2), context(tmp_path), ranks)
    assert ceiling is not None
    assert ceiling.operations_per_s > 0
    assert ceiling.gib_s > 0
    assert ranks.barriers == 2 * 3
    assert list(tmp_path.iterdir()) == []
    assert calibrate(workload(calibration=0.0), context(tmp_path), ranks) is None


def test_ceiling_uses_a_null_store_for_operations_and_memory_for_bytes(
    tmp_path: Path,
) -> None:
    """Unchecked reads of 16 MiB: a store without data is many times faster than memory."""
    reads = workload(
        calibration=0.2,
        phase="decode",
        verify_rate=0.0,
        io_chunk_kib=16 * 1024,
        entry_scale=1.0,
        num_users=1,
    )
    ceiling = calibrate(reads, context(tmp_path), SoloRanks())
    assert ceiling is not None
    assert ceiling.operations_per_s * reads.io_chunk_kib / (1 << 20) > 4 * ceiling.gib_s


@pytest.mark.parametrize("shape", [(1, 3), (4, 1)])
def test_ceiling_is_measured_with_the_lanes_of_the_workload(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    if not probe_direct_io(tmp_path).is_available:
        pytest.skip("this filesystem has no direct I/O")
    opened: list[int] = []

    class Notes(NullStore):
        def open_queue(self, depth: int) -> Queue:
            opened.append(depth)
            return super().open_queue(depth)

    lanes, chunks_in_flight = shape
    same = workload(calibration=0.2, max_concurrent_allocs=lanes, chunks_in_flight=chunks_in_flight)
    measured = run_trial(same, context(tmp_path), SoloRanks())
    result = run_over(Notes(is_queued=True), same, context(tmp_path), SoloRanks())
    assert result.operation("storage", "read").chunks > 0
    assert (result.lanes, result.in_flight) == (measured.lanes, measured.in_flight)
    assert result.queue_unavailable_reason == measured.queue_unavailable_reason
    assert opened == [lanes * (chunks_in_flight + 1)]


def test_prefill_only_writes(tmp_path: Path) -> None:
    result = served(tmp_path, phase="prefill")
    assert result.requests.prefill_writes > 0
    assert result.operation("storage", "write").moved_bytes > 0
    assert result.operation("storage", "read").moved_bytes == 0
    assert (result.requests.hits.total(), result.requests.misses) == (0, 0)


def test_decode_only_reads_what_was_written_before_the_window(tmp_path: Path) -> None:
    result = served(tmp_path, phase="decode")
    assert result.requests.requests > 0
    assert result.requests.decode_reads > 0
    assert result.requests.prefill_writes == 0
    assert result.operation("storage", "read").moved_bytes > 0
    assert result.operation("storage", "write").moved_bytes == 0, "written inside the window"
    assert result.requests.misses == 0
    assert result.storage.entries == 6 * 10
    assert list(tmp_path.iterdir()) == []


def test_decoding_whose_entries_exceed_the_write_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CapacityError, match="Writes before the window exceed write_limit_gb"):
        trial(tmp_path, phase="decode", write_limit_gb=1 / 1024)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_repeated_reads_are_counted_separately_and_can_be_omitted(tmp_path: Path) -> None:
    reference = served(tmp_path, num_users=3)  # three kinds of users
    reads = reference.operation("storage", "read")
    assert 0 < reads.repeated_bytes < reads.moved_bytes
    once = served(tmp_path, num_users=3, decode_reads="once")
    assert once.operation("storage", "read").moved_bytes > 0
    assert once.operation("storage", "read").repeated_bytes == 0


def test_requests_are_counted_by_class_of_service(tmp_path: Path) -> None:
    lanes = {"num_users": 40, "max_concurrent_allocs": 40}
    result = trial(tmp_path, **lanes, duration=60.0, requests=200)
    classes = result.requests.classes
    assert set(classes) == {"interactive", "responsive", "batch"}
    assert sum(one.latency.count for one in classes.values()) == result.requests.requests


@pytest.mark.parametrize("eviction", ["lru", "lfu", "fifo"])
def test_tiers_evict_by_any_policy_and_promote(tmp_path: Path, eviction: str) -> None:
    result = trial(
        tmp_path,
        capacity=12 * MIB,
        cpu_mem_gb=4 / 1024,
        duration=1.5,
        eviction=eviction,
        promotion=True,
    )
    assert result.requests.requests > 0
    assert result.storage.evicted_bytes > 0
    assert result.requests.corrupt_reads == 0


def test_rank_serves_users_from_its_first_user(tmp_path: Path) -> None:
    seen: set[str] = set()

    class Notes(NullStore):
        def writer(self, name: str, size: int, observer: Observer) -> Any:
            seen.add(name.partition("-")[0])
            return super().writer(name, size, observer)

    here = dataclasses.replace(context(tmp_path), first_user=40)
    run_trial(workload(num_users=3), here, SoloRanks(), lambda *_: Notes())
    assert seen == {"user40", "user41", "user42"}


def test_trial_lasts_for_its_window_and_the_drain(tmp_path: Path) -> None:
    """Each operation lasts longer than the window: each lane has one in flight at its end."""
    ended_ns: list[int] = []

    class Lingers(NullStore):
        @contextmanager
        def writer(self, name: str, size: int, observer: Observer) -> Iterator[EntryFile]:
            time.sleep(1.5)
            try:
                with super().writer(name, size, observer) as writer:
                    yield writer
            finally:
                ended_ns.append(time.perf_counter_ns())

    result = run_trial(
        workload(duration=1.0, warmup=0.0), context(tmp_path), SoloRanks(), lambda *_: Lingers()
    )
    assert result.window_s == pytest.approx(1.0)
    assert 0 < len(ended_ns) <= result.lanes, "none began after the window"
    assert result.edges is not None
    assert result.edges.closed_ns < max(ended_ns)
    assert max(ended_ns) <= result.edges.closed_ns + result.drain_s * NS_PER_S


def test_generation_takes_time_but_no_lane(tmp_path: Path) -> None:
    started = time.monotonic()
    result = trial(
        tmp_path,
        duration=2.0,
        max_concurrent_allocs=1,
        num_users=12,
        generation_mode="fast",
        think_time_scale=0.0,
        entry_scale=0.0001,
    )
    generated_s = result.requests.generation.sum_ns / 1e9
    assert result.requests.requests > 1
    assert generated_s > result.window_s, "one lane alone could not have waited for all of these"
    assert time.monotonic() - started < 30
