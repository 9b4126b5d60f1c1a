"""The gate of one run in its session: it judges, runs more trials if needed, and sets the status.

Rank 0 judges and broadcasts the result; all ranks run further trials and set the exit status.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from mlpstorage_bench.errors import MlpsError, PeerError
from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.github import github_annotations
from mlpstorage_bench.gate.result import GateResult
from mlpstorage_bench.gate.series import RunSeries, series_from_metadata
from mlpstorage_bench.report.gate_report import append_step_summary
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.session.gate_policy import GatePolicy
from mlpstorage_bench.units import counted

RunMore = Callable[[int], None]
"""Function that runs a number of further trials of a case, on all ranks together."""
T = TypeVar("T")


class Broadcast(Protocol):
    """Operation that gives every rank the value of rank 0."""

    def __call__(self, value: T, /) -> T:
        """Return rank 0's value."""
        ...


@dataclass(frozen=True)
class GateOutcome:
    """The gate's result, and what every rank needs to know of it."""

    result: GateResult | None
    """None if the run could not be judged."""
    status: int
    """Exit status of a session whose tests have passed."""
    problems: tuple[str, ...] = ()
    """Error messages."""
    has_failed_trial: bool = False
    """Whether a further trial failed: the run is then no better than one with a failed test."""


class SessionGate:
    """The gate of one session; every rank has one."""

    def __init__(
        self,
        gate: GatePolicy,
        metadata: Callable[[], RunMetadata],
        bcast: Broadcast,
        *,
        is_root: bool,
        path_of: Callable[[Path], Path] = lambda path: path,
    ) -> None:
        self.outcome = GateOutcome(None, int(pytest.ExitCode.OK))
        self.annotations: list[str] = []
        self.remarks: list[str] = []
        self.written: list[Path] = []
        """Reports, on rank 0."""
        self._gate = gate
        self._metadata = metadata
        self._bcast = bcast
        self._is_root = is_root
        self._path_of = path_of
        """Returns the path of this run's report for one of the settings."""
        self._more: dict[str, tuple[int, RunMore]] = {}
        self._series: RunSeries | None = None
        """Figures of the run so far; None if they are to be made from its metadata."""

    @property
    def result(self) -> GateResult | None:
        """The gate's result; None before it, and if the run could not be judged."""
        return self.outcome.result

    def offer_more(self, case: str, trials: int, run: RunMore) -> None:
        """Register a function that runs more trials of a case, and the number to run at a time."""
        self._more[case] = (trials, run)

    def series(self) -> RunSeries:
        """Return the figures of the run so far, on rank 0; MlpsError if they cannot be made."""
        if self._series is None:
            self._series = series_from_metadata(self._metadata())
        return self._series

    def judge(self, report: Callable[[str], None], others: Sequence[SessionGate] = ()) -> None:
        """Judge the session's run; with retries, run more trials while they may decide it.

        `others` are the gates of the session's other runs.
        """
        outcome = self._judge_together(1, others)
        for look in range(2, self._gate.looks + 1):
            result = outcome.result
            retried = [] if result is None else result.cases_to_retry
            retried = [case for case in retried if case in self._more]
            if result is None or not retried:
                break
            failure = self._run_more(result, retried, look, report)
            if failure:
                status = int(pytest.ExitCode.TESTS_FAILED)
                outcome = GateOutcome(None, status, (failure,), has_failed_trial=True)
                break
            outcome = self._judge_together(look, others)
        self.outcome = self._bcast(self._publish(outcome))

    def _run_more(
        self, result: GateResult, cases: Sequence[str], look: int, report: Callable[[str], None]
    ) -> str:
        """Run more trials of the cases; return the message of the first failure, or ''."""
        self._series = None
        disturbed = {one.case for one in result.with_verdict(Verdict.DISTURBED)}
        for case in cases:
            trials, run = self._more[case]
            why = "disturbed" if case in disturbed else "undecided"
            report(f"gate: {case} is {why}: {counted(trials, 'more trial')}, for look {look}")
            try:
                run(trials)
            except PeerError:
                raise
            except MlpsError as error:
                return f"more trials of {case}: {error}"
        return ""

    def _judge_together(self, look: int, others: Sequence[SessionGate]) -> GateOutcome:
        """Judge on rank 0 and broadcast the outcome."""
        outcome = GateOutcome(None, int(pytest.ExitCode.USAGE_ERROR))
        if self._is_root:
            try:
                more = {case: trials for case, (trials, _) in self._more.items()}
                of_others = [gate.series() for gate in others]
                result = self._gate.judge(self.series(), look, more, of_others)
                outcome = GateOutcome(result, result.exit_status)
            except MlpsError as error:
                outcome = replace(outcome, problems=(str(error),))
        return self._bcast(outcome)

    def _publish(self, outcome: GateOutcome) -> GateOutcome:
        """Write reports and annotations on rank 0; return the outcome with their failures."""
        result = outcome.result
        if result is None or not self._is_root:
            return outcome
        self.annotations = github_annotations(result, os.environ)
        self.remarks = append_step_summary(result, os.environ)
        problems = self._gate.write_reports(result, self._path_of)
        if not problems:
            self.written = [self._path_of(path) for path in self._gate.settings.reports]
        status = outcome.status or (int(pytest.ExitCode.TESTS_FAILED) if problems else 0)
        return replace(outcome, status=status, problems=(*outcome.problems, *problems))

    @property
    def reason(self) -> str:
        """Why the session's gate passed or failed, in one line; '' if it did not judge."""
        result, problems = self.result, self.outcome.problems
        if result is not None and (result.exit_status or not problems):
            return "; ".join([result.reason, *problems])
        return "; ".join(problems)
