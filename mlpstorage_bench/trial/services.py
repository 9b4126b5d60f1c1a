"""Parts of a session that a test's fixture of a benchmark type uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from mlpstorage_bench.benchmark_type.interface import BenchmarkType, Engine
from mlpstorage_bench.benchmark_type.plan import Plan
from mlpstorage_bench.benchmark_type.records import CaseRecord, OpenCase
from mlpstorage_bench.progress.state import Viewer
from mlpstorage_bench.trial.case_trials import AnnouncePause, RunTrials


class Timed(Protocol):
    """The part of pytest-benchmark's `benchmark` fixture that is used here."""

    @property
    def extra_info(self) -> dict[str, object]:
        """Additional values for its JSON."""
        ...

    @property
    def stats(self) -> Any:
        """Its statistics; None before the first round."""
        ...

    @property
    def was_used(self) -> bool:
        """Whether the test has measured something."""
        ...

    def pedantic(self, target: Callable[[], object], *, rounds: int, iterations: int) -> object:
        """Run the target `rounds` times and time each."""
        ...


@dataclass(frozen=True)
class TrialSettings:
    """Number of trials of each case, and what announces pauses and shows progress."""

    planned: int
    most: int
    """The same with all that the gate may add."""
    announce_pause: AnnouncePause = lambda _when, _seconds: None
    say: Callable[[str], None] = lambda _line: None
    """Shows a line on rank 0's terminal at once; every rank may call it."""
    viewer: Viewer | None = None
    """Where progress is shown, on rank 0."""
    is_watched: bool = False
    """Whether it is shown."""


class OpenCaseOfModel(Protocol):
    """Function that adds a case to a run, on all ranks together."""

    def __call__(
        self, case: CaseRecord, model: str | None = None, /, *, in_run_of_its_own: bool = False
    ) -> tuple[OpenCase, RunTrials]:
        """Return the case and its run; that of the plan's model by default.

        The run of another model opens with its first case, and a run of its own for a case that
        asks for one, unless the run has no case yet. Runs of their own have to follow each other.
        """
        ...


@dataclass(frozen=True)
class TestServices:
    """Plan and engine of a benchmark type, and a session's services for one test."""

    __test__ = False

    plan: Plan
    engine: Engine
    benchmark: Timed
    advance_clock: Callable[[float], None]
    """Adds seconds to the clock with which pytest-benchmark times a round."""
    open_case: OpenCaseOfModel
    """Adds a case to the run of a model, with a unique name, and returns where trials are kept."""
    trials: TrialSettings
    offer_more: Callable[[str, int, Callable[[int], None]], None] = lambda _case, _trials, _run: (
        None
    )
    """Registers a case's name, its planned trials, and a function that runs more on all ranks."""
    markers: Sequence[pytest.Mark] = ()
    """Markers of the test, the closest first."""


class TestedType(BenchmarkType, Protocol):
    """A benchmark type whose fixture tests use."""

    @property
    def has_ordered_cases(self) -> bool:
        """Whether a case uses what those before it in the plan have left."""
        ...

    @property
    def has_objectives(self) -> bool:
        """Whether it judges the objectives of tests that are marked `mlps_slo`."""
        ...

    def planned_trials(self, plan: Plan, *, is_scenario: bool) -> int:
        """Return the number of trials that the plan has for a test."""
        ...

    def warm_up_trials(self, plan: Plan) -> int:
        """Return the number of trials that a test runs before those that count."""
        ...

    def fixture(self, services: TestServices) -> object:
        """Return the object that a test gets."""
        ...
