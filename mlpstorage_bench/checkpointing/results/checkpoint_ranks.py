"""Records of all ranks of one checkpoint, and values that several metrics use."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from mlpstorage_bench.checkpointing.config.parameters import Kind
from mlpstorage_bench.checkpointing.results.rank_checkpoint import (
    CheckpointSamples,
    RankCheckpoint,
)
from mlpstorage_bench.metric.rules import RankRules
from mlpstorage_bench.trial.rank_windows import RankWindows
from mlpstorage_bench.units import GIB, NS_PER_S


@dataclass(frozen=True)
class CheckpointRanks(RankWindows[RankCheckpoint]):
    """Records of all ranks, and their samples added up."""

    samples: CheckpointSamples = field(default_factory=CheckpointSamples)

    @property
    def kind(self) -> Kind:
        """Whether the checkpoint was written or read."""
        return self.ranks[0].kind

    @cached_property
    def duration_s(self) -> float:
        """Time from when the ranks began together until the last one had finished.

        By rank 0's clock where the ranks' clocks were compared.
        """
        edges = [rank.edges for rank in self.ranks]
        known = [edge for edge in edges if edge is not None]
        if len(known) < len(edges):
            return max(rank.window_s for rank in self.ranks)
        first = min(edge.opened_ns for edge in known)
        return (max(edge.closed_ns for edge in known) - first) / NS_PER_S

    @property
    def tensor_bytes(self) -> int:
        """Bytes of tensors in the checkpoint."""
        return sum(rank.tensor_bytes for rank in self.ranks)

    def gib_s(self, kind: Kind) -> float | None:
        """Return the bandwidth of the checkpoint; None if it is of the other kind."""
        if kind != self.kind or not self.duration_s:
            return None
        return self.tensor_bytes / GIB / self.duration_s

    @property
    def slowest(self) -> RankCheckpoint:
        """The rank that finished last, by its own time."""
        return max(self.ranks, key=lambda rank: rank.window_s)

    @property
    def fastest(self) -> RankCheckpoint:
        """The rank that finished first, by its own time."""
        return min(self.ranks, key=lambda rank: rank.window_s)

    @property
    def snapshot_s(self) -> float | None:
        """Time until every rank's share was in memory; None if none was copied."""
        known = [rank.snapshot_s for rank in self.ranks if rank.snapshot_s is not None]
        return max(known, default=None)

    @property
    def standstill_s(self) -> float | None:
        """Time that training waits for the checkpoint; None of a read, which is before training.

        Where training goes on during the writing, both begin at one moment: it waits from its own
        end until the last rank has written.
        """
        if self.kind == "read":
            return None
        if self.snapshot_s is None:
            return self.duration_s
        return self.snapshot_s + max(0.0, self.duration_s - self.ranks[0].interval_s)

    @property
    def cached_pages(self) -> int | None:
        """Pages of all ranks' files in the page cache before the first read; None if unknown."""
        known = [rank.cached_pages for rank in self.ranks if rank.cached_pages is not None]
        return sum(known) if len(known) == len(self.ranks) else None


RANKS = RankRules[RankCheckpoint, CheckpointSamples, CheckpointRanks]()
"""Rules by which metrics derive from these records."""
