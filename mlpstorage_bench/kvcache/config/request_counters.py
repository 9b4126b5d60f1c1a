"""Statistics of requests, counted per worker without locks and added up at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

from mlpstorage_bench.kvcache.workload.blocks import Purpose
from mlpstorage_bench.kvcache.workload.users import QosClass
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.units import NS_PER_MS


@dataclass
class ClassCounters:
    """Statistics of one class of service."""

    latency: Histogram = field(default_factory=Histogram)
    """Per request: from its due time to the end of the answer."""
    within_target: int = 0
    """Requests within the class's p95 target."""

    def merge(self, other: ClassCounters) -> None:
        """Add another object's counts."""
        self.latency.merge(other.latency)
        self.within_target += other.within_target


@dataclass
class RequestCounters:
    """Requests, lookups and tokens that ended inside the window."""

    requests: int = 0
    in_flight_at_open: int = 0
    """Requests in progress when the window opened, including generation of answers."""
    in_flight_at_close: int = 0
    """Requests in progress when the window closed."""
    generated_tokens: int = 0
    context_tokens: int = 0
    prefill_writes: int = 0
    decode_reads: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    """Lookups that found their block, by tier."""
    found: Counter[Purpose] = field(default_factory=Counter)
    """Lookups that found their block, by purpose."""
    missed: Counter[Purpose] = field(default_factory=Counter)
    found_bytes: Counter[Purpose] = field(default_factory=Counter)
    missed_bytes: Counter[Purpose] = field(default_factory=Counter)
    corrupt_reads: int = 0
    """Reads of corrupt data, at any time of the trial."""
    latency: Histogram = field(default_factory=Histogram)
    """Per request: from its due time to the end of the answer."""
    queue_wait: Histogram = field(default_factory=Histogram)
    """Per request: from its due time to its start on a lane."""
    cache_io: Histogram = field(default_factory=Histogram)
    """Per request: time of its cache accesses, in all tiers."""
    generation: Histogram = field(default_factory=Histogram)
    """Per request: time of generating the answer."""
    classes: dict[str, ClassCounters] = field(default_factory=dict)
    """Statistics by class of service."""

    @property
    def misses(self) -> int:
        """Lookups that did not find their block."""
        return self.missed.total()

    def count_lookup(self, purpose: Purpose, size: int, tier: str | None) -> None:
        """Count a lookup of `size` bytes; `tier` is where they were found, or None."""
        if tier is None:
            self.missed[purpose] += 1
            self.missed_bytes[purpose] += size
        else:
            self.hits[tier] += 1
            self.found[purpose] += 1
            self.found_bytes[purpose] += size

    def count_edges(self, window: Window, taken_ns: int, ended_ns: int) -> None:
        """Count a request at each edge of the window at which it was in progress."""
        self.in_flight_at_open += taken_ns < window.opened_ns <= ended_ns
        self.in_flight_at_close += taken_ns < window.closes_ns <= ended_ns

    def merge(self, other: RequestCounters) -> None:
        """Add another object's counts."""
        for attribute in fields(self):
            mine, theirs = getattr(self, attribute.name), getattr(other, attribute.name)
            if isinstance(mine, Histogram):
                mine.merge(theirs)
            elif attribute.name == "classes":
                merge_classes(mine, theirs)
            else:
                setattr(self, attribute.name, mine + theirs)

    def totals(self) -> RequestCounters:
        """Return a copy whose histograms have totals only, without classes."""
        spans = ("latency", "queue_wait", "cache_io", "generation")
        bare = {name: getattr(self, name).totals() for name in spans}
        return replace(self, **bare, classes={})

    @classmethod
    def total(cls, statistics: Iterable[RequestCounters]) -> RequestCounters:
        """Return the sum."""
        total = cls()
        for one in statistics:
            total.merge(one)
        return total


def merge_classes(
    into: dict[str, ClassCounters], classes: Mapping[str, ClassCounters]
) -> dict[str, ClassCounters]:
    """Add the statistics of each class to those in `into`, which is returned."""
    for name, statistics in classes.items():
        into.setdefault(name, ClassCounters()).merge(statistics)
    return into


class EndedRequest(NamedTuple):
    """Times of a request, kept until its answer ends, as generation occupies no lane."""

    due_ns: int
    taken_ns: int
    cached_ns: int
    """End of its cache accesses."""
    ended_ns: int
    context_tokens: int
    generated_tokens: int
    qos: QosClass

    def add_to(self, statistics: RequestCounters, window: Window) -> None:
        """Count the request at the edges of the window, and if it ended inside."""
        statistics.count_edges(window, self.taken_ns, self.ended_ns)
        if not window.contains(self.ended_ns):
            return
        statistics.requests += 1
        statistics.context_tokens += self.context_tokens
        statistics.generated_tokens += self.generated_tokens
        statistics.latency.record(self.ended_ns - self.due_ns)
        statistics.queue_wait.record(self.taken_ns - self.due_ns)
        statistics.cache_io.record(self.cached_ns - self.taken_ns)
        statistics.generation.record(self.ended_ns - self.cached_ns)
        of_class = statistics.classes.get(self.qos.name)
        if of_class is None:
            of_class = statistics.classes[self.qos.name] = ClassCounters()
        of_class.latency.record(self.ended_ns - self.due_ns)
        target_ns = self.qos.targets_ms["p95_ms"] * NS_PER_MS
        of_class.within_target += self.ended_ns - self.due_ns <= target_ns
