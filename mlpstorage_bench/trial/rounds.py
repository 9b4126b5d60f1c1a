"""Trials of a case as rounds of pytest-benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from mlpstorage_bench.benchmark_type.records import ObjectiveRecord, OpenCase
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.trial.case_trials import CaseTrials
from mlpstorage_bench.trial.services import TestServices, Timed


class CaseResult(Protocol):
    """The result of all trials of a case."""

    @property
    def objectives(self) -> tuple[ObjectiveRecord, ...]:
        """Objectives, met or not."""
        ...

    def metrics(self) -> dict[str, object]:
        """Return every metric by name, for JSON."""
        ...

    def notes(self) -> list[str]:
        """Return notes on the metrics, in sentences."""
        ...


R = TypeVar("R", bound=CaseResult)


def check_is_first(benchmark: Timed, source: str, case_argument: str) -> None:
    """Raise InvalidInputError if the test has measured already."""
    if benchmark.was_used:
        raise InvalidInputError(
            source,
            "a second measurement in one test",
            "one in each test, because pytest-benchmark times one function of a test",
            hint=f"Move it to a test of its own; a test with the argument {case_argument} runs "
            "once for each of the profile's",
        )


class Rounds:
    """Runs the trials of one case, and keeps its record in pytest-benchmark's JSON."""

    def __init__(self, services: TestServices, trials: CaseTrials[Any, Any]) -> None:
        self._services = services
        self._trials = trials

    @property
    def _case(self) -> OpenCase:
        return self._trials.case

    def run(self, pool: Callable[[], R]) -> R:
        """Run the planned trials on all ranks, and return the result that `pool` makes of them."""
        services, trials = self._services, self._trials
        planned = services.trials.planned
        self._write_record()

        def round_() -> None:
            if trials.count == planned:  # the call of --benchmark-cprofile
                trials.run_unrecorded()
                return
            try:
                services.advance_clock(trials.run_one())
            finally:
                self._write_record()

        services.benchmark.pedantic(round_, rounds=planned, iterations=1)
        return self._keep(pool())

    def offer_more(self, pool: Callable[[], CaseResult]) -> None:
        """Let the gate run more trials of this case, at a time as many as were planned."""
        services = self._services
        services.offer_more(
            self._case.record.case,
            services.trials.planned,
            lambda count: self._more(pool, count),
        )

    def _more(self, pool: Callable[[], CaseResult], count: int) -> None:
        """Run trials in addition to the planned ones; pytest-benchmark counts them as rounds."""
        more = [self._trials.run_one() for _ in range(count)]
        timed = self._services.benchmark.stats
        rounds = type(timed.stats)()  # the existing one caches its figures
        for seconds in (*timed.stats.data, *more):
            rounds.update(seconds)
        timed.stats = rounds
        self._keep(pool())

    def _keep(self, result: R) -> R:
        """Add the result of all trials so far to the case and the JSON."""
        metrics = {"trials": self._trials.count, **result.metrics()}
        self._case.record = replace(
            self._case.record,
            metrics=metrics,
            objectives=result.objectives,
            notes=(*self._trials.notes, *result.notes()),
        )
        self._write_record()
        self._services.benchmark.extra_info.update(metrics)
        return result

    def _write_record(self) -> None:
        """Put the case's record into pytest-benchmark's JSON."""
        self._services.benchmark.extra_info["mlpstorage"] = self._case.record.to_json()
