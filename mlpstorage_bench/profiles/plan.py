"""Base of a plan: a profile with the user's changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from mlpstorage_bench.paths import InputFile, OutputFile


class CommonKeys(Protocol):
    """Keys that profiles of every benchmark type have."""

    @property
    def model(self) -> str:
        """Model in the path of results."""
        ...

    @property
    def seed(self) -> int:
        """Seed from which all others derive."""
        ...

    @property
    def comparable(self) -> bool:
        """Whether results are comparable with MLPerf's."""
        ...

    @property
    def gate(self) -> Mapping[str, str]:
        """Rules of the gate by metric."""
        ...


P_co = TypeVar("P_co", bound=CommonKeys, covariant=True)


@dataclass(frozen=True)
class ProfilePlan(Generic[P_co]):
    """A profile with the user's changes, and values derived from it."""

    benchmark_type: str
    mode: str
    profile: P_co
    overrides: tuple[tuple[str, str], ...]
    """The user's changes of the profile: dotted path, value as typed."""
    user_set: Mapping[str, object]
    """Every command-line option that the user set."""
    cache_dir: str

    @property
    def model(self) -> str:
        """The model in the path of the run's directory."""
        return self.profile.model

    @property
    def seed(self) -> int:
        """The seed from which all others derive."""
        return self.profile.seed

    @property
    def comparable(self) -> bool:
        """Whether results may be compared with others of the same profile."""
        return self.profile.comparable

    @property
    def gate_rules(self) -> tuple[str, ...]:
        """The profile's rules for metrics, as lines."""
        return tuple(f"{metric}: {text}" for metric, text in self.profile.gate.items())

    def input_files(self) -> list[InputFile]:
        """Return the files that the run reads: none, unless a type has some."""
        return []

    def output_files(
        self, rank: int, ranks: int, most_trials: Callable[[int], int]
    ) -> list[OutputFile]:
        """Return the files that the user's settings make a rank write: none, as above."""
        del rank, ranks, most_trials
        return []
