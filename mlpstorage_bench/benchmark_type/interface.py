"""The interface of a benchmark type: how it plans, its engine and its result files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mlpstorage_bench.benchmark_type.figures import CaseFigures
from mlpstorage_bench.benchmark_type.plan import Plan, PlanRequest
from mlpstorage_bench.benchmark_type.records import (
    NO_PAUSES,
    CaseRecord,
    Json,
    Pauses,
)
from mlpstorage_bench.metric.declaration import AnyMetric
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.page_cache_probe import PageCacheStates


@dataclass(frozen=True)
class RankSite:
    """A rank's place: its host and its cache directory there."""

    host: str
    cache_dir: Path
    sharers: int = 1
    """Number of ranks whose cache files share a filesystem with this rank's."""
    memory_bytes: int | None = None
    """This rank's share of the memory that the ranks of its host may have; None if unknown."""
    is_in_memory: bool = False
    """Whether cache files are kept in that memory."""
    processors: float = 1.0
    """Processors that this rank has if all ranks of its host work."""
    is_first_on_host: bool = True
    """Whether this rank probes the host's storage for all of its ranks."""
    run_id: str = ""
    """Name of the run for which an engine opens, the same on every rank."""
    is_resumed: bool = False
    """Whether that run was interrupted, and goes on."""


@dataclass(frozen=True)
class Standing:
    """Whether the figures of a run can stand beside those of others, in words."""

    objections: tuple[str, ...] = ()
    """Reasons why they cannot."""
    unproven: tuple[str, ...] = ()
    """Properties that could not be measured: no reason against the figures."""


@dataclass(frozen=True)
class TypeFields:
    """The parts of a run's metadata that a benchmark type makes."""

    parameters: Json
    """Parameters that ran, in the reference's form."""
    fields: Json
    """Fields that the type adds at the top level."""
    conclusions: Sequence[str] = ()
    """Sentences on what the results say about the storage."""
    arguments: Json = field(default_factory=dict)
    """Arguments that were left to the run, such as o_direct, as it has resolved them."""


class ResultFiles(Protocol):
    """Names and contents of the files that runs of a benchmark type write."""

    @property
    def metrics(self) -> Sequence[AnyMetric]:
        """Declarations of all metrics."""
        ...

    @property
    def has_command_level(self) -> bool:
        """Whether a run's path names its command, so that a command like datasize leaves a run."""
        ...

    def further_files(
        self, cases: Sequence[CaseRecord], total_ranks: int, filesystems: Json | None
    ) -> Iterable[tuple[str, Json]]:
        """Return path and content of files that are of no single trial, besides the summary.

        `filesystems` are those of cache and results, as the record of the run has them; None if
        they are unknown.
        """
        ...

    def rank_result_path(self, case: CaseRecord, result: Json, timestamp: str) -> str:
        """Return the path of a rank's result in the directory of a run of this time.

        InvalidInputError if it is no result of a rank.
        """
        ...

    def summarise(
        self,
        cases: Sequence[CaseRecord],
        *,
        directory: Path,
        npernode: int,
        host_count: int,
        total_ranks: int,
        objections: Sequence[str] = (),
    ) -> Json:
        """Return the content of a run's summary; the directory's name is the run's time.

        `objections` are those to the whole run.
        """
        ...

    def standing(self, cases: Sequence[CaseRecord], parameters: Json, total_ranks: int) -> Standing:
        """Return whether figures of a run with these parameters can stand beside others."""
        ...

    def conclusions(self, cases: Sequence[CaseRecord]) -> Sequence[str]:
        """Return what the results say about the storage, in a few sentences."""
        ...

    def figures(self, case: CaseRecord) -> CaseFigures:
        """Return the figures of a case for a report.

        InvalidInputError if a rank's result has not what they need.
        """
        ...

    def metadata_fields(self, parameters: Json, cases: Sequence[CaseRecord]) -> TypeFields:
        """Return the type's parts of the metadata; `parameters` are the plan's."""
        ...


class Engine(Protocol):
    """One rank's part of a run, while it is open."""

    @property
    def notes(self) -> Sequence[str]:
        """Notes on this rank's storage for the reader of the results."""
        ...

    @property
    def page_cache(self) -> PageCacheStates:
        """States of the page cache under this rank's directory, measured on the first rank."""
        ...

    @property
    def is_buffered(self) -> bool:
        """Whether a case of the plan moves its files through the page cache."""
        ...

    def check_cases(self, cases: Sequence[str]) -> None:
        """Raise MlpsError if cases of the plan cannot run on this rank."""
        ...


class BenchmarkType(ResultFiles, Protocol):
    """A benchmark type: its plan, its engine and its result files."""

    @property
    def name(self) -> str:
        """Its name, under which results are filed and options name it."""
        ...

    @property
    def exports(self) -> Mapping[str, Callable[[Path], str]]:
        """Functions from a run's file to a text, by name of the command."""
        ...

    @property
    def parameter_names(self) -> Collection[str]:
        """Names of the parameters that `--mlps-set` may change, without workloads."""
        ...

    @property
    def profile_names(self) -> Sequence[str]:
        """Names of the profiles that the type ships."""
        ...

    def use_added_metrics(self, added: Sequence[AnyMetric]) -> None:
        """Use metrics beside its own, in place of those that were added before."""
        ...

    def plan(self, request: PlanRequest) -> Plan:
        """Return the plan for the user's options; InvalidInputError if it cannot run."""
        ...

    def workload_parts(
        self, parameters: Json, seed: int, ranks: int, pauses: Pauses = NO_PAUSES
    ) -> Json:
        """Return everything that must be equal for two results of a case to be comparable.

        It includes the number of ranks and a hash of their requests to the storage.
        """
        ...

    def check_site(self, cache_dir: Path) -> None:
        """Raise InvalidInputError if this host cannot run the benchmark."""
        ...

    def open(self, plan: Plan, ranks: TrialRanks, site: RankSite) -> AbstractContextManager[Engine]:
        """Return this rank's engine for a plan of this type."""
        ...
