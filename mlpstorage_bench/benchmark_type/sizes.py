"""Sizes that a plan needs on storage and in memory, by case, rank and host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mlpstorage_bench.benchmark_type.records import Json


@dataclass(frozen=True)
class CaseSize:
    """Sizes of one case; those per rank or host are of the largest, and None has no limit."""

    case: str
    problems: Sequence[str]
    """Reasons why the case cannot run."""

    @property
    def lines(self) -> Sequence[str]:
        """Lines for people, of a case that is no row of the table of sizes."""
        return ()

    def to_json(self) -> Json:
        """Return the sizes for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class KnownCaseSize(CaseSize):
    """Sizes of one case whose requests and storage capacity are known."""

    model: str
    users_per_rank: int
    largest_entry_bytes: int
    written_bytes_per_rank: int | None
    """None if only capacities limit it."""
    keeps_all_bytes_per_rank: int | None
    """Storage capacity with which no entry is evicted; None if the entries have no limit."""
    storage_bytes_per_rank: int
    storage_bytes_per_host: int
    storage_bytes: int
    memory_bytes_per_rank: int
    memory_bytes_per_host: int
    evicts: bool
    users_that_fit: int | None
    """None if the load does not depend on users."""
    examined_ranks: int
    """Ranks whose requests were examined; the others are taken to be as large as the largest."""


@dataclass(frozen=True)
class SizeReport:
    """Sizes of all cases, and the space of this host; `--mlps-datasize=json` prints it."""

    profile: str
    seed: int
    cache_dir: str
    ranks_by_host: Sequence[int]
    free_storage_bytes_per_rank: int | None
    """None if the filesystem reports none."""
    free_memory_bytes_per_rank: int | None
    """None if unknown."""
    limits: Sequence[str]
    """A sentence for each limit that is narrower than the host."""
    cases: Sequence[CaseSize]

    @property
    def fits(self) -> bool:
        """Whether every case can run."""
        return not any(case.problems for case in self.cases)

    def to_json(self) -> Json:
        """Return the report for JSON."""
        return {
            **vars(self),
            "ranks_by_host": list(self.ranks_by_host),
            "limits": list(self.limits),
            "fits": self.fits,
            "cases": [case.to_json() for case in self.cases],
        }
