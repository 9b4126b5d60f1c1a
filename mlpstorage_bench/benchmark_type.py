"""The interface of a benchmark type: requests to it, its plan, its engine and its result files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.paths import InputFile, OutputFile

Json = Mapping[str, object]
"""A JSON object, for a file or from one: parameters, metrics and results of a rank, for example.

Their keys differ by benchmark type, and files of earlier versions have fewer, so that only what
writes a part of a file reads that part.
"""


@dataclass(frozen=True)
class PlanRequest:
    """What the user asked for; None where it is left to the profile."""

    profile: str
    mode: str
    overrides: tuple[tuple[str, str], ...]
    """Dotted path into the profile, value as typed."""
    seed: int | None
    trials: int | None
    cache_dir: Path
    results_dir: Path
    user_set: Mapping[str, object]
    """Every option that the user gave, by name."""


@dataclass(frozen=True)
class HostCapacity:
    """What a host has left, in bytes; None where it does not say."""

    storage: int | None
    memory: int | None
    sharers: int
    """Ranks whose cache files share the storage."""


class ResultFiles(Protocol):
    """What a benchmark type knows of the files that its runs leave."""

    def summary_name(self, timestamp: str) -> str:
        """Return the file name of a run's summary."""
        ...

    def rank_result_path(self, case: str, trial: int, rank: int, timestamp: str) -> str:
        """Return where a rank's result of a trial lies in the run's directory."""
        ...

    def summarise(
        self,
        cases: Sequence[Json],
        *,
        run_datetime: str,
        npernode: int,
        host_count: int,
        total_ranks: int,
    ) -> Json:
        """Return the content of a run's summary."""
        ...

    def metadata_fields(self, parameters: Json, cases: Sequence[Json]) -> Json:
        """Return the fields that the type adds to the metadata."""
        ...


class Plan(Protocol):
    """What a session will run, of whatever type."""

    @property
    def model(self) -> str:
        """The model under whose name the run is filed."""
        ...

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of what can run."""
        ...

    @property
    def comparable(self) -> bool:
        """Whether its results are to be compared: then nothing runs beside its cases."""
        ...

    @property
    def gate_rules(self) -> tuple[str, ...]:
        """What the plan itself asks of metrics, as lines of rules."""
        ...

    def input_files(self) -> list[InputFile]:
        """Return the files that it reads."""
        ...

    def output_files(self, rank: int, ranks: int) -> list[OutputFile]:
        """Return the files that a rank may write where the user said so."""
        ...

    def notes(self) -> list[str]:
        """Return what a reader of the results has to know."""
        ...

    def parameters(self) -> Json:
        """Return the effective parameters."""
        ...

    def override_parameters(self) -> Json:
        """Return what the user set."""
        ...

    def request_stream_sha256(self, rank: int, ranks: int) -> str:
        """Return the hash of what a rank will ask of the storage."""
        ...

    def datasize(self, ranks_by_host: Sequence[int], capacity: HostCapacity) -> Json:
        """Return the bytes needed by rank, host and tier, and under `fits` whether they fit."""
        ...

    def describe(self) -> list[str]:
        """Return lines that tell a person what will run."""
        ...


class Engine(Protocol):
    """One rank's part of a run, while it is open."""

    @property
    def notes(self) -> Sequence[str]:
        """Facts about this rank's storage that a reader of the results has to know."""
        ...


class BenchmarkType(ResultFiles, Protocol):
    """A kind of benchmark: how it is planned and opened, and which files its runs leave."""

    name: str
    exports: Mapping[str, Callable[[Path], str]]
    """Texts that it can make from a file of a run, by their names: those of commands."""
    gated: Mapping[str, str]
    """What a gate asks of its metrics: metric → the smallest change that matters, like -10%."""
    metric_synonyms: Mapping[str, str]
    """What people call metrics → their names in the results."""
    trial_metrics: Collection[str]
    """Every metric of a trial that is a number."""

    def plan(self, request: PlanRequest) -> Plan:
        """Return the plan of what the user asked for; InvalidInputError when it cannot run."""
        ...

    def workload_parts(self, parameters: Json, seed: int, ranks: int) -> Json:
        """Return everything that must be equal for two results of a case to be comparable.

        It includes the number of ranks and a hash of their requests to the storage.
        """
        ...

    def check_site(self, cache_dir: Path) -> None:
        """Raise InvalidInputError when this host cannot run it."""
        ...

    def open(
        self, ranks: TrialRanks, host: str, cache_dir: Path, sharers: int
    ) -> AbstractContextManager[Engine]:
        """Return this rank's engine; `sharers` ranks have cache files on one filesystem."""
        ...
