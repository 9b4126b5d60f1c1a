"""The plan of a benchmark type: the request for it, and the cases that a session will run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlpstorage_bench.benchmark_type.records import Json, Pauses
from mlpstorage_bench.benchmark_type.sizes import SizeReport
from mlpstorage_bench.paths import InputFile, OutputFile


@dataclass(frozen=True)
class PlanRequest:
    """The user's options for a plan; None for values that the profile sets."""

    profile: str
    mode: str
    overrides: tuple[tuple[str, str], ...]
    """Dotted paths into the profile, with values as typed."""
    seed: int | None
    trials: int | None
    cache_dir: Path
    user_set: Mapping[str, object]
    """Every option that the user set, by name."""


@dataclass(frozen=True)
class HostCapacity:
    """Free bytes of a host; None if the host does not report them."""

    storage: int | None
    memory: int | None
    sharers: int
    """Number of ranks whose cache files share the storage."""
    process_memory: int | None = None
    """Limit of each process's memory, in bytes."""
    is_in_memory: bool = False
    """Whether cache files are kept in the host's memory."""
    limits: tuple[str, ...] = ()
    """A sentence for each limit that is narrower than the host."""
    storage_problem: str = ""
    """Reason why a run cannot use the cache directory, whatever its size; '' if it can."""


class Plan(Protocol):
    """The cases that a session will run."""

    @property
    def model(self) -> str:
        """The model under whose name the run is filed."""
        ...

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of the cases that can run."""
        ...

    @property
    def comparable(self) -> bool:
        """Whether results are meant for comparison with others: then only its own cases run."""
        ...

    @property
    def seed(self) -> int:
        """The seed from which each rank derives its own."""
        ...

    @property
    def pauses(self) -> Pauses:
        """The pauses around trials and between cases."""
        ...

    def schedule(self, cases: Sequence[str]) -> str:
        """Return how long cases take with their pauses, as a sentence; '' without pauses."""
        ...

    @property
    def gate_rules(self) -> tuple[str, ...]:
        """The plan's own rules for metrics, as lines."""
        ...

    def input_files(self) -> list[InputFile]:
        """Return the files that the run reads."""
        ...

    def output_files(
        self, rank: int, ranks: int, most_trials: Callable[[int], int]
    ) -> list[OutputFile]:
        """Return the files that the user's settings make a rank write.

        `most_trials` returns how many trials a case may have, of the number that is planned.
        """
        ...

    def notes(self) -> list[str]:
        """Return notes for the reader of the results, in sentences."""
        ...

    def parameters(self) -> Json:
        """Return the effective parameters."""
        ...

    def override_parameters(self) -> Json:
        """Return the parameters that the user set, or that a profile has other than the model."""
        ...

    def arguments(self) -> Json:
        """Return the plan's values for arguments of the reference, by their names there."""
        ...

    def request_stream_sha256(self, rank: int, ranks: int) -> str:
        """Return the hash of a rank's requests."""
        ...

    def datasize(self, ranks_by_host: Sequence[int], capacity: HostCapacity) -> SizeReport:
        """Return the bytes needed by rank, host and tier, and whether they fit."""
        ...

    def describe(self) -> list[str]:
        """Return a description of the cases, as lines for the terminal."""
        ...
