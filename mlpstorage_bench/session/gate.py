"""The gate in a session: judges the run, runs more trials if needed, and sets the exit status.

Rank 0 judges and broadcasts the result; all ranks run further trials and set the exit status.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from mlpstorage_bench.benchmark_type.interface import BenchmarkType
from mlpstorage_bench.errors import MlpsError, PeerError
from mlpstorage_bench.gate.baseline import SELFTEST_TRIALS, find_baselines, split_for_selftest
from mlpstorage_bench.gate.baseline_choice import BaselineChoice, check_choice, parse_choice
from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.github import github_annotations, summary_file
from mlpstorage_bench.gate.looks import Retries
from mlpstorage_bench.gate.result import FailureRules, GateResult
from mlpstorage_bench.gate.rules import RULE_OPTION, Rules, parse_rules
from mlpstorage_bench.gate.series import RunSeries, series_from_metadata
from mlpstorage_bench.gate.verdicts import judge_run
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.metric.declaration import AnyMetric
from mlpstorage_bench.options.settings import GateSettings
from mlpstorage_bench.paths import OutputFile, check_outputs
from mlpstorage_bench.report.gate_report import (
    REPORT_OPTION,
    as_markdown,
    check_report_path,
    is_own_gate_report,
    write_gate_report,
)
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.units import counted

RunMore = Callable[[int], None]
"""Function that runs a number of further trials of a case, on all ranks together."""
T = TypeVar("T")
_MOST_UNREADABLE = 5
"""Number of files in the results directory that are named because they cannot be read."""


class Broadcast(Protocol):
    """Operation that gives every rank the value of rank 0."""

    def __call__(self, value: T, /) -> T:
        """Return rank 0's value."""
        ...


class GatePolicy:
    """Rules for metrics, choice of the baseline, and the verdicts that fail the session."""

    def __init__(
        self,
        settings: GateSettings,
        benchmark_type: BenchmarkType,
        results_dir: Path,
        plan_rules: tuple[str, ...] = (),
        metrics_of_others: Sequence[AnyMetric] = (),
    ) -> None:
        """`metrics_of_others` are those of the session's other benchmark types."""
        self.settings = settings
        self._benchmark_type = benchmark_type.name
        self._results_dir = results_dir
        self._choice = (
            BaselineChoice() if settings.baseline is None else parse_choice(settings.baseline)
        )
        self._rules: Rules = parse_rules(
            benchmark_type.metrics,
            [
                *(("gate, in the profile", line) for line in plan_rules),
                *((RULE_OPTION, line) for line in settings.rules),
            ],
            metrics_of_others,
        )
        for path in settings.reports:
            check_report_path(path)

    def check_baseline(self, tags: Sequence[str], branch: Callable[[], str | None]) -> None:
        """Raise InvalidInputError if the chosen baseline cannot exist; called before the run.

        `tags` and `branch` are those that the run will have.
        """
        if self._choice.kind == "last" or self.settings.is_selftest:
            return
        own_branch = branch() if self._choice.kind == "branch" else None
        with History(self._results_dir) as history:
            check_choice(self._choice, history, self._benchmark_type, tags, own_branch)

    @property
    def looks(self) -> int:
        """Largest number of looks at the samples."""
        return most_looks(self.settings)

    def judge(
        self, run: RunSeries, look: int = 1, more: Mapping[str, int] | None = None
    ) -> GateResult:
        """Judge a run; InvalidInputError if the baseline does not exist.

        `more` maps the cases that can run more trials to the number that each look adds.
        """
        retries = Retries(self.looks if more else 1, more or {})
        is_selftest = self.settings.is_selftest
        result = self._judge_halves(run) if is_selftest else self._judge_run(run, retries)
        rules = FailureRules(
            undecided=self.settings.undecided == "fail",
            collecting=self.settings.no_baseline == "error",
            improved=is_selftest,
            disturbed=self.settings.disturbed == "error",
        )
        return replace(result, look=look, looks=retries.looks, failure_rules=rules)

    def _judge_run(self, run: RunSeries, retries: Retries) -> GateResult:
        across = self.settings.across
        with History(self._results_dir) as history:
            baselines = find_baselines(run, self._choice, history, across=across)
            unreadable = [f"no baseline: {problem}" for problem in history.problems]
            remarks = (*history.remarks, *unreadable[:_MOST_UNREADABLE])
            if len(unreadable) > _MOST_UNREADABLE:
                remarks += (f"and {len(unreadable) - _MOST_UNREADABLE} more files are no baseline",)
        refusals = {case: one.refusal for case, one in baselines.items() if one.refusal}
        judged = judge_run(
            run,
            baselines,
            self._rules,
            retries=retries,
            ignores_disturbances=self.settings.disturbed == "ignore",
        )
        return GateResult(
            run_id=run.run_id,
            baseline=str(self._choice),
            verdicts=judged.metrics,
            refusals=refusals or ({} if run.cases else {"run": "it has no case with trials"}),
            disturbances=judged.disturbances,
            disturbed_before={case: one.disturbed_before for case, one in baselines.items()},
            across=across,
            remarks=remarks,
        )

    def _judge_halves(self, run: RunSeries) -> GateResult:
        candidate, baselines = split_for_selftest(run)
        judged = judge_run(
            candidate,
            baselines,
            self._rules,
            ignores_disturbances=self.settings.disturbed == "ignore",
        )
        return GateResult(
            run_id=run.run_id,
            baseline="the other half of its own trials",
            verdicts=judged.metrics,
            refusals={},
            disturbances=judged.disturbances,
        )

    def write_reports(
        self, result: GateResult, path_of: Callable[[Path], Path] = lambda path: path
    ) -> list[str]:
        """Write the reports, where `path_of` puts each; return a message for each failure."""
        problems = []
        for path in self.settings.reports:
            own = path_of(path)
            try:
                if own != path:  # that of a session with one run was checked before
                    check_outputs(
                        [OutputFile(REPORT_OPTION, own, is_own_gate_report, is_replaced=True)], []
                    )
                write_gate_report(result, own)
            except MlpsError as error:
                problems.append(str(error))
        return problems


def write_step_summary(result: GateResult, environ: Mapping[str, str]) -> list[str]:
    """Append the verdicts to the summary of a step in CI; return a remark if that fails.

    The file is the CI's, not the user's: the session does not fail for it.
    """
    summary = summary_file(environ)
    if summary is None:
        return []
    try:
        with summary.open("a", encoding="utf-8") as file:
            file.write(as_markdown(result))
    except OSError as error:
        return [f"the step's summary {summary} was not written: {error.strerror}"]
    return []


def rounds(settings: GateSettings, trials: int, *, are_set: bool) -> int:
    """Return the number of trials of a case: twice as many for a self-test."""
    if not settings.is_selftest:
        return trials
    return 2 * (trials if are_set else SELFTEST_TRIALS)


def most_looks(settings: GateSettings) -> int:
    """Return how often a run is judged at most; each time but the first adds trials."""
    return settings.looks if settings.undecided == "retry" else 1


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

    @property
    def result(self) -> GateResult | None:
        """The gate's result; None before it, and if the run could not be judged."""
        return self.outcome.result

    def offer_more(self, case: str, trials: int, run: RunMore) -> None:
        """Register a function that runs more trials of a case, and the number to run at a time."""
        self._more[case] = (trials, run)

    def judge(self, report: Callable[[str], None]) -> None:
        """Judge the session's run; with retries, run more trials while they may decide it."""
        outcome = self._judge_together(look=1)
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
            outcome = self._judge_together(look)
        self.outcome = self._bcast(self._publish(outcome))

    def _run_more(
        self, result: GateResult, cases: Sequence[str], look: int, report: Callable[[str], None]
    ) -> str:
        """Run more trials of the cases; return the message of the first failure, or ''."""
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

    def _judge_together(self, look: int) -> GateOutcome:
        """Judge on rank 0 and broadcast the outcome."""
        outcome = GateOutcome(None, int(pytest.ExitCode.USAGE_ERROR))
        if self._is_root:
            try:
                more = {case: trials for case, (trials, _) in self._more.items()}
                result = self._gate.judge(series_from_metadata(self._metadata()), look, more)
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
        self.remarks = write_step_summary(result, os.environ)
        problems = self._gate.write_reports(result, self._path_of)
        if not problems:
            self.written = [self._path_of(path) for path in self._gate.settings.reports]
        status = outcome.status or (int(pytest.ExitCode.TESTS_FAILED) if problems else 0)
        return replace(outcome, status=status, problems=(*outcome.problems, *problems))

    @property
    def last_line(self) -> str:
        """The outcome in one line, for the end of the session's output; '' if it did not judge."""
        result, problems = self.result, self.outcome.problems
        if result is not None and (result.exit_status or not problems):
            return "; ".join([result.headline, *problems])
        return f"gate FAILED: {'; '.join(problems)}" if problems else ""
