"""Cases of a run in the order of their start, and the outcomes of the tests that ran them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from mlpstorage_bench.benchmark_type.interface import BenchmarkType
from mlpstorage_bench.benchmark_type.records import CaseRecord, OpenCase, Pauses
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.paths import fingerprint, slugify
from mlpstorage_bench.results.kept_trials import KeptTrials
from mlpstorage_bench.results.record import CaseOutcome, Outcome

_SEVERITY: tuple[Outcome, ...] = ("passed", "skipped", "failed")


@dataclass
class CaseLog:
    """Cases that have started, and the tests that ran them. Every rank has one."""

    benchmark_type: BenchmarkType
    seed: int
    """The plan's seed, which is part of a case's fingerprint."""
    ranks: int
    pauses: Pauses
    kept: KeptTrials | None
    """Finished trials in the run's directory; None on ranks other than 0."""
    cases_opened: int = 0
    """Number of cases that have started, with those of repeated tests."""
    _cases: list[OpenCase] = field(default_factory=list)
    _outcomes: dict[str, CaseOutcome] = field(default_factory=dict)
    _statistics: dict[str, object] = field(default_factory=dict)
    """pytest-benchmark's statistics by test."""

    @property
    def cases(self) -> list[CaseRecord]:
        """The records of all cases so far, in the order of their start."""
        return [case.record for case in self._cases]

    @property
    def outcomes(self) -> list[CaseOutcome]:
        """The outcomes of all tests so far, in the order of their start."""
        return [*self._outcomes.values()]

    @property
    def statistics(self) -> list[object]:
        """pytest-benchmark's statistics of this package's tests."""
        return [*self._statistics.values()]

    def open_case(self, case: CaseRecord, test: str) -> OpenCase:
        """Add a case, with a unique name, its order and its fingerprint.

        It replaces an earlier case of the test: a plugin runs the test again.
        """
        self._forget_case(test)
        taken = {other.case for other in self.cases}
        name = case.case
        if name in taken:
            name = slugify(f"{name}-{test.rpartition('::')[2]}")
        number = 2
        while name in taken:
            name = slugify(f"{name}-{number}")
            number += 1
        option = case.option if name == case.case else None  # one case has an option's files
        case = replace(case, case=name, option=option, order=self.cases_opened, test=test)
        self.cases_opened += 1
        if self.kept is not None:
            parts = self.benchmark_type.workload_parts(
                case.parameters, self.seed, self.ranks, self.pauses
            )
            case = replace(
                case,
                workload_fingerprint_parts=parts,
                workload_fingerprint=fingerprint(parts),
            )
        opened = OpenCase(case)
        self._cases.append(opened)
        return opened

    def _forget_case(self, test: str) -> None:
        if self.kept is not None:
            with suppress(MlpsError):  # the end of the run reports what cannot be written
                for case in self.cases:
                    if case.test == test:
                        self.kept.discard(case.case)
        self._cases = [case for case in self._cases if case.record.test != test]
        self._statistics.pop(test, None)

    def has_case(self, test: object, order: object) -> bool:
        """Whether a test has run the case with this `order`, and was not repeated since."""
        return (test, order) in {(current.test, current.order) for current in self.cases}

    def begin_attempt(self, test: str) -> str:
        """Forget the attempt of a test that a plugin repeats, and return a note on it.

        The last attempt counts.
        """
        before = self._outcomes.pop(test)
        self._forget_case(test)
        problem = before.message.partition("\n")[0]
        return f"{test} ran again, and its last attempt counts; the one before {before.outcome}" + (
            f": {problem}" if problem else ""
        )

    def add_statistics(self, test: str, statistics: object) -> None:
        """Add pytest-benchmark's statistics of a finished test of this package."""
        self._statistics[test] = statistics

    def has_timed(self, test: str) -> bool:
        """Return whether a finished test has statistics of pytest-benchmark in this run."""
        return test in self._statistics

    def note_outcome(self, test: str, outcome: Outcome, duration_s: float, message: str) -> None:
        """Add the outcome of one phase of a test; the worst phase decides."""
        before = self._outcomes.get(test, CaseOutcome(test=test, outcome="passed", duration_s=0.0))
        duration_s += before.duration_s
        if _SEVERITY.index(outcome) > _SEVERITY.index(before.outcome):
            after = CaseOutcome(test=test, outcome=outcome, duration_s=duration_s, message=message)
        else:
            after = before.model_copy(update={"duration_s": duration_s})
        self._outcomes[test] = after

    def untimed_cases(self, timed: Sequence[str]) -> list[CaseRecord]:
        """Return the cases of tests that pytest-benchmark does not list among `timed`."""
        return [case for case in self.cases if case.test not in set(timed)]
