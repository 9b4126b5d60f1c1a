"""Window of a rank as JSON, in the files of ranks of any benchmark type."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from mlpstorage_bench.measure.device import DeviceTraffic, UnderlyingTraffic
from mlpstorage_bench.measure.series_slots import SLOTS_IN_FILES_OF_RANKS, SlotSeries
from mlpstorage_bench.measure.source import SourceTraffic
from mlpstorage_bench.results.tree import TIMESTAMP_FORMAT
from mlpstorage_bench.trial.rank_window import RankWindow


def window_json(rank: RankWindow, trial: int) -> dict[str, object]:
    """Return the window of a rank; `trial` is from 1."""
    audit = rank.audit
    started = datetime.fromtimestamp(rank.started_at).astimezone()
    return {
        "rank": rank.rank,
        "host": rank.host,
        "trial": trial,
        "started": started.strftime(TIMESTAMP_FORMAT),
        "opened_at": rank.opened_at,
        "window_s": rank.window_s,
        "drain_s": rank.drain_s,
        "closed_by": rank.closed_by,
        "edges": None if rank.edges is None else asdict(rank.edges),
        "io_mode": rank.io_mode,
        "in_flight": rank.in_flight,
        "queue_unavailable_reason": rank.queue_unavailable_reason,
        "io_threads": rank.io_threads,
        "io_queue": rank.io_queue,
        "io_queue_refusal": rank.io_queue_refusal,
        "huge_page_share": rank.huge_page_share,
        "audit_ratio": audit.ratio,
        "audit_verdict": audit.verdict,
        "audit_reason": audit.reason,
        "page_cache_bytes": audit.cached_bytes,
        "device": _device(rank.device_traffic),
        "underlying": _underlying(rank.underlying_traffic),
        "counted_s": rank.counted_s,
        "mount": _mount(rank.mount_traffic),
        "lane_time": None if rank.lane_time is None else asdict(rank.lane_time),
        "ceiling": None if rank.ceiling is None else asdict(rank.ceiling),
        "cpu_s": rank.cpu_s,
        "peak_rss_bytes": rank.peak_rss_bytes,
    }


def operations_json(rank: RankWindow) -> list[dict[str, object]]:
    """Return the operations of a rank by tier, kind and size class, with their histograms."""
    return [
        {**key._asdict(), **operation.to_dict()}
        for key, operation in sorted(rank.operations.items())
    ]


def series_json(slots: SlotSeries | None) -> dict[str, object] | None:
    """Return a rank's part of a trial by second; None without one."""
    return None if slots is None else asdict(slots.series(SLOTS_IN_FILES_OF_RANKS))


def _device(seen: DeviceTraffic | None) -> dict[str, object] | None:
    return None if seen is None else {"name": seen.device.name, **asdict(seen.traffic)}


def _underlying(seen: UnderlyingTraffic | None) -> dict[str, object] | None:
    if seen is None:
        return None
    return {
        "devices": [device.name for device in seen.underlying.devices],
        "memory": seen.underlying.memory,
        "unknown": seen.underlying.unknown,
        **({} if seen.traffic is None else asdict(seen.traffic)),
    }


def _mount(seen: SourceTraffic | None) -> dict[str, object] | None:
    if seen is None:
        return None
    return {
        **({} if seen.source is None else asdict(seen.source)),
        **({} if seen.traffic is None else asdict(seen.traffic)),
        "reason": seen.reason,
    }
