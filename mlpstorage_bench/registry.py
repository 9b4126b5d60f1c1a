"""Benchmark types by name. A type is loaded when a session uses it: nothing else knows one."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlpstorage_bench.benchmark_type import HostCapacity, PlanRequest
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.results.convert import ResultFiles
from mlpstorage_bench.results.output_files import InputFile, OutputFile


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

    def parameters(self) -> dict[str, Any]:
        """Return the effective parameters."""
        ...

    def override_parameters(self) -> dict[str, Any]:
        """Return what the user set."""
        ...

    def request_stream_sha256(self, rank: int, ranks: int) -> str:
        """Return the hash of what a rank will ask of the storage."""
        ...

    def describe(self) -> list[str]:
        """Return lines that tell a person what will run."""
        ...


class BenchmarkType(ResultFiles, Protocol):
    """A kind of benchmark: how it is planned and opened, and what files its runs leave."""

    name: str
    gated: Mapping[str, str]
    """What a gate asks of its metrics: metric → the smallest change that matters, like -10%."""
    metric_synonyms: Mapping[str, str]
    """What people call metrics → their names in the results."""
    trial_metrics: Collection[str]
    """Every metric of a trial that is a number."""

    def plan(self, request: PlanRequest) -> Plan:
        """Return the plan of what the user asked for; InvalidInputError when it cannot run."""
        ...

    def fio_job(self, trace: Path) -> str:
        """Return the text of an fio job distilled from a trace of operations."""
        ...

    def datasize(
        self, plan: Any, ranks_by_host: Sequence[int], capacity: HostCapacity
    ) -> dict[str, Any]:
        """Return what a plan takes by rank, host and tier, and whether it fits."""
        ...

    def workload_parts(
        self, parameters: Mapping[str, Any], seed: int, ranks: int
    ) -> dict[str, Any]:
        """Return what of a case's parameters must be equal for two results to be comparable.

        JSON's types, with the number of ranks and a hash of what they ask of the storage.
        """
        ...

    def check_site(self, cache_dir: Path) -> None:
        """Raise InvalidInputError when this host cannot run it."""
        ...

    def open(self, ranks: Any, host: str, cache_dir: Path, sharers: int) -> Any:
        """Return a context manager that runs this rank's part, with `notes` about the place."""
        ...


@dataclass(frozen=True)
class _Entry:
    """What can be known of a type without loading it."""

    fixture: str
    """The fixture whose tests are benchmarks of this type."""
    case_argument: str
    """A test that takes this argument runs once for each of the plan's cases."""
    location: str
    """Where the type is found, as module:attribute."""


_TYPES = {
    "kv_cache": _Entry("kvcache", "kvcache_option", "mlpstorage_bench.kvcache.benchmark:KV_CACHE"),
}

DEFAULT = "kv_cache"


def load(name: str) -> BenchmarkType:
    """Return a benchmark type by name."""
    if name not in _TYPES:
        raise InvalidInputError("benchmark_type", name, ", ".join(_TYPES))
    module, _, attribute = _TYPES[name].location.partition(":")
    loaded: BenchmarkType = getattr(importlib.import_module(module), attribute)
    return loaded


def types_of_fixtures(fixtures: Collection[str]) -> list[str]:
    """Return the names of the types whose fixtures are among these."""
    return [name for name, entry in _TYPES.items() if entry.fixture in fixtures]


def case_arguments(fixtures: Collection[str]) -> dict[str, str]:
    """Return the arguments among these that stand for a plan's cases: argument → type."""
    return {
        entry.case_argument: name
        for name, entry in _TYPES.items()
        if entry.case_argument in fixtures
    }
