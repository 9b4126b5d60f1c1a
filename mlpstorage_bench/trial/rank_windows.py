"""Records of all ranks of one trial: their traffic, audits and limits together."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from mlpstorage_bench.measure.audit import Audit, worst
from mlpstorage_bench.measure.ceiling import Ceiling, LimitedBy, Rate, ceiling_ratio, limited_by
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.lane_time import LaneTime
from mlpstorage_bench.measure.operation_statistics import Kind
from mlpstorage_bench.metric.rules import RankRules
from mlpstorage_bench.trial.host_traffic import (
    ForeignTraffic,
    HostTraffic,
    by_host,
    device_share,
    request_ms,
)
from mlpstorage_bench.trial.rank_window import RankWindow
from mlpstorage_bench.trial.supervisor import FAILURE

Rank_co = TypeVar("Rank_co", bound=RankWindow, covariant=True)


@dataclass(frozen=True)
class Audits:
    """Comparisons with the kernel's counters, of ranks or of hosts."""

    audits: Sequence[Audit]

    @property
    def ratio(self) -> float | None:
        """The ratio of the worst audit; None if that could not be measured."""
        return self.worst.ratio

    @cached_property
    def worst(self) -> Audit:
        """The audit with the worst verdict."""
        return worst(self.audits)


@dataclass(frozen=True)
class RankWindows(Generic[Rank_co]):
    """Records of all ranks of one trial, and intermediate values that several metrics use."""

    ranks: Sequence[Rank_co]

    @cached_property
    def traffic(self) -> Traffic:
        """Bytes moved from and to storage inside the window."""
        return Traffic.sum(rank.reported for rank in self.ranks)

    @cached_property
    def hosts(self) -> list[HostTraffic]:
        """The ranks by host and device."""
        return by_host(self.ranks)

    @cached_property
    def audits(self) -> Audits:
        """Reported bytes of each rank against its process's counters, and what lies below.

        Ranks whose processes have no such counters have the audit of their host, once for all. So
        have those on a network filesystem, unless their counters refute them: proc(5) calls the
        counters of a process accurate on block devices alone.
        """
        found: list[Audit] = []
        for host in self.hosts:
            of_ranks = [rank.audit for rank in host.ranks if host.is_decided_by(rank.audit)]
            of_host = [host.audit] if len(of_ranks) < len(host.ranks) else []
            found += self.judged(host, [*of_ranks, *of_host, *host.audits_below])
        return Audits(found)

    @cached_property
    def host_audits(self) -> Audits:
        """Reported bytes of each host's ranks against the device's counters."""
        return Audits([one for host in self.hosts for one in self.judged(host, [host.audit])])

    def judged(self, host: HostTraffic, audits: list[Audit]) -> list[Audit]:
        """Return audits of a host as they are for this benchmark type."""
        del host
        return audits

    @property
    def page_cache_bytes(self) -> int:
        """Reported bytes that the kernel did not count for processes, or further down."""
        return sum(host.cached_bytes for host in self.hosts)

    @cached_property
    def _foreign(self) -> list[ForeignTraffic]:
        return [one for host in self.hosts if (one := host.foreign) is not None]

    @property
    def foreign_gib_s(self) -> float | None:
        """Bandwidth of other programs on the hosts' devices; None if it cannot be measured."""
        return sum(one.gib_s for one in self._foreign) if self._foreign else None

    @property
    def foreign_traffic_on(self) -> str:
        """Device and host where other programs moved most; '' if they moved nothing."""
        if not self.foreign_gib_s:
            return ""
        return max(self._foreign, key=lambda one: one.gib_s).place

    @cached_property
    def rates(self) -> list[Rate] | None:
        """Speed of each rank's storage tier; None if no time passed on one of them."""
        known = [rate for rate in (rank.rate for rank in self.ranks) if rate is not None]
        return known if len(known) == len(self.ranks) else None

    @property
    def busy_share(self) -> float | None:
        """Mean over ranks of the share of lane time that storage calls took."""
        return statistics.fmean(rate.busy_share for rate in self.rates) if self.rates else None

    @cached_property
    def device_share(self) -> float | None:
        """Share of lane time that the block devices were busy; None if unknown."""
        return device_share(self.hosts)

    @cached_property
    def memory_share(self) -> float:
        """Share of the reported bytes that the hosts' memory had, and no device.

        1 if storage had nothing to do: lanes that waited did so for others, which moved memory.
        """
        total = self.traffic.total
        if total:
            return sum(host.memory_bytes for host in self.hosts) / total
        unended = sum(one.in_flight_at_close for rank in self.ranks for one in rank.stored)
        return 0.0 if unended else 1.0

    @cached_property
    def lane_time(self) -> LaneTime | None:
        """Uses of the time of all ranks' lanes; None if they are unknown for one."""
        return LaneTime.sum(rank.lane_time for rank in self.ranks)

    def block_layer_ms(self, kind: Kind) -> float | None:
        """Mean time of a request in the block layer; None if unknown."""
        return request_ms(self.hosts, kind)

    @cached_property
    def ceiling_ratio(self) -> float | None:
        """Measured ÷ the harness's ceiling; None if not every rank has one."""
        if self.rates is None:
            return None
        return ceiling_ratio(self.rates, [rank.ceiling for rank in self.ranks])

    @property
    def limited_by(self) -> LimitedBy:
        """Limit of the result, by what the lanes' time was spent on."""
        return limited_by(self.ceiling_ratio, self.lane_time, self.memory_share)

    @property
    def ceilings(self) -> list[Ceiling]:
        """Ceilings of the ranks that have one."""
        return [rank.ceiling for rank in self.ranks if rank.ceiling is not None]

    @property
    def cpu_s(self) -> float | None:
        """CPU seconds of all ranks; None if they are unknown for one."""
        known = [rank.cpu_s for rank in self.ranks if rank.cpu_s is not None]
        return sum(known) if len(known) == len(self.ranks) else None

    @property
    def closed_by(self) -> str:
        """Reason why the windows closed: a failure, if there was one on any rank."""
        reasons = [rank.closed_by for rank in self.ranks if rank.closed_by != "another rank"]
        return FAILURE if FAILURE in reasons else next(iter(reasons), "duration")


RANKS = RankRules[RankWindow, object, RankWindows[RankWindow]]()
"""Rules by which metrics of any benchmark type derive from these records."""


def part(of: float, whole: float) -> float | None:
    """Return a part of a whole as a share; None if the whole is 0."""
    return of / whole if whole else None
