"""Traffic of a host's ranks on its block device, and the kernel's count of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from mlpstorage_bench.measure.audit import (
    TOLERANCE,
    Audit,
    audit,
    audit_bound,
    audit_underlying,
    worst,
)
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.device import DeviceCount, DeviceTraffic
from mlpstorage_bench.measure.operation_statistics import Kind
from mlpstorage_bench.trial.rank_window import RankWindow
from mlpstorage_bench.units import GIB, NS_PER_S

_MS_PER_S = 1000


@dataclass(frozen=True)
class ForeignTraffic:
    """Traffic of other programs on a host's device."""

    gib_s: float
    place: str
    """Device and host, for people."""


@dataclass(frozen=True)
class HostTraffic:
    """Ranks of one host whose caches are on one device, or are counted by one other source."""

    host: str
    ranks: Sequence[RankWindow]
    seen: DeviceTraffic | None
    """Traffic of the device, as the first of these ranks read it; None without a device."""

    @cached_property
    def audit(self) -> Audit:
        """Bytes that the ranks report together, against the counters of this host's storage."""
        audits = [
            None if self.seen is None else self._device_audit,
            self.mount_audit,
            self._underlying_audit(is_alone=self.seen is None and self.mount_audit is None),
        ]
        known = [audit for audit in audits if audit is not None]
        return worst(known) if known else self._device_audit

    @cached_property
    def underlying_audit(self) -> Audit | None:
        """The same against what the files lie on at last; None if that is the device itself."""
        return self._underlying_audit(is_alone=False)

    def _underlying_audit(self, *, is_alone: bool) -> Audit | None:
        seen = self.ranks[0].underlying_traffic
        if seen is None:
            return None
        return audit_underlying(
            self._reported, seen, doubtful=self._doubtful, host=self.host, is_alone=is_alone
        )

    @cached_property
    def mount_audit(self) -> Audit | None:
        """The same against what a network filesystem moved; None without one."""
        seen = self.ranks[0].mount_traffic
        if seen is None:
            return None
        if seen.source is None or seen.traffic is None:
            return Audit(None, "not measurable", f"{seen.reason} on {self.host}")
        if seen.source.strength == "bound":
            return audit_bound(
                self._reported,
                moved=seen.traffic,
                source=seen.source,
                doubtful=self._doubtful,
                host=self.host,
                lack=seen.reason,
            )
        return audit(
            self._reported,
            seen.traffic,
            doubtful=self._doubtful,
            counted_by=f"{seen.source.name} on {self.host}",
            behind=f"the server of {seen.source.name}",
        )

    def is_decided_by(self, of_process: Audit) -> bool:
        """Return whether the audit of a rank's process stands, and its host's need not."""
        if self.mount_audit is not None:
            return of_process.verdict == "served from page cache"
        return of_process.verdict != "not measurable"

    @property
    def audits_below(self) -> list[Audit]:
        """Audits that refute the bytes of ranks, even where the processes' counters agree."""
        mount = self.mount_audit
        is_refuted = mount is not None and mount.verdict == "served from page cache"
        below = [self.underlying_audit, mount if is_refuted else None]
        return [audit for audit in below if audit is not None]

    @property
    def memory_bytes(self) -> int:
        """Reported bytes that this host's memory had, and no device or server."""
        seen = self.ranks[0].underlying_traffic
        if seen is not None and seen.underlying.memory and not seen.underlying.devices:
            return sum(rank.reported.total for rank in self.ranks)
        return self.cached_bytes

    @property
    def cached_bytes(self) -> int:
        """Reported bytes that were not counted for the processes, or not further down."""
        below = (self.mount_audit, self.underlying_audit)
        of_ranks = sum(rank.audit.cached_bytes for rank in self.ranks)
        return max(of_ranks, *(0 if audit is None else audit.cached_bytes for audit in below))

    @property
    def _device_audit(self) -> Audit:
        """The same against the device of the filesystem."""
        return audit(
            self._reported,
            None if self.seen is None else self.seen.traffic,
            doubtful=self._doubtful,
            counted_by=f"{self.seen.device.name if self.seen else 'the filesystem'} on {self.host}",
        )

    @property
    def _reported(self) -> Traffic:
        return Traffic.sum(rank.completed for rank in self.ranks)

    @property
    def _doubtful(self) -> Traffic:
        return Traffic.sum(rank.doubtful for rank in self.ranks)

    @property
    def foreign(self) -> ForeignTraffic | None:
        """Traffic of all other programs, where they moved most; None if no device counts.

        A device at the bottom shows what partitions beside this filesystem's move. Several of them
        are no measure: mirrors and parity multiply what the ranks move.
        """
        counted_s = self.ranks[0].counted_s
        counts: dict[str, Traffic] = {}
        if self.seen is not None:
            counts[self.seen.device.name] = self.seen.traffic
        below = self.ranks[0].underlying_traffic
        if below is not None and below.traffic is not None and len(below.underlying.devices) == 1:
            counts.setdefault(below.underlying.names, below.traffic)
        mount = self.ranks[0].mount_traffic
        if mount is not None and mount.is_exact and mount.source and mount.traffic:
            counts[mount.source.name] = mount.traffic
        if not counts or not counted_s:
            return None
        gib_s, device = max(
            (self._foreign_bytes(count) / GIB / counted_s, name) for name, count in counts.items()
        )
        return ForeignTraffic(gib_s, f"{device} on {self.host}")

    def _foreign_bytes(self, moved: Traffic) -> float:
        """Return what other programs moved at least.

        What the filesystem may have added, and what was in flight at an edge of the window, are
        left out. What the kernel counted for the ranks' processes is their own, such as read-ahead.
        """
        counted = Traffic.sum(rank.process_traffic or rank.completed for rank in self.ranks)
        own = max(counted.read_bytes, self._reported.read_bytes) + max(
            counted.write_bytes, self._reported.write_bytes
        )
        return max(0.0, moved.total - own - self._doubtful.total - TOLERANCE * moved.total)


def by_host(ranks: Iterable[RankWindow]) -> list[HostTraffic]:
    """Return the ranks by host and by what counts their traffic: a device, a mount, interfaces."""
    sharing: dict[tuple[str, str, str], list[RankWindow]] = {}
    for rank in ranks:
        device = rank.device_traffic.device.number if rank.device_traffic else ""
        mount = rank.mount_traffic.source if rank.mount_traffic else None
        key = (rank.host, device, "" if mount is None else mount.name)
        sharing.setdefault(key, []).append(rank)
    return [
        HostTraffic(host, group, group[0].device_traffic) for (host, *_), group in sharing.items()
    ]


def _timed(hosts: Sequence[HostTraffic]) -> list[DeviceCount]:
    """Return the devices' counts; an empty list if a host has no device that reports times."""
    counts = [host.seen.traffic for host in hosts if host.seen is not None]
    keeps_times = any(count.read_ms or count.write_ms for count in counts)
    return counts if keeps_times and len(counts) == len(hosts) else []


def device_share(hosts: Sequence[HostTraffic]) -> float | None:
    """Return the share of the lanes' time and chunks in flight that devices were busy.

    It includes making data durable. None unless the kernel keeps times of every host's device.
    """
    counts = _timed(hosts)
    ranks = [rank for host in hosts for rank in host.ranks]
    if not counts:
        return None
    busy_s = sum(count.read_ms + count.write_ms for count in counts) / _MS_PER_S
    synced_ns = sum(operation.durability.sum_ns for rank in ranks for operation in rank.stored)
    available_s = sum(rank.window_s * rank.in_flight for rank in ranks)
    return (busy_s + synced_ns / NS_PER_S) / available_s if available_s else None


def request_ms(hosts: Sequence[HostTraffic], kind: Kind) -> float | None:
    """Return the mean time of a request in the block layer; None if unknown."""
    counts = _timed(hosts)
    requests = sum(count.reads if kind == "read" else count.writes for count in counts)
    busy_ms = sum(count.read_ms if kind == "read" else count.write_ms for count in counts)
    return busy_ms / requests if requests else None
