"""The gate in a session: judges the run, runs more trials if needed, and sets the exit status.

Rank 0 judges and broadcasts the result; all ranks run further trials and set the exit status.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.benchmark_type import BenchmarkType
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.gate.baseline import (
    SELFTEST_TRIALS,
    BaselineChoice,
    find_baselines,
    parse_choice,
    split_for_selftest,
)
from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.github import github_annotations, summary_file
from mlpstorage_bench.gate.looks import Retries
from mlpstorage_bench.gate.rules import RULE_OPTION, Rules, parse_rules
from mlpstorage_bench.gate.series import RunSeries, series_from_metadata
from mlpstorage_bench.gate.verdicts import GateResult, judge_run
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.options.settings import GateSettings
from mlpstorage_bench.report.gate_report import as_markdown, check_report_path, write_gate_report
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.session.pytest_internals import add_junit_property

RunMore = Callable[[int], None]
"""Function that runs a number of further trials of a case, on all ranks together."""


class GatePolicy:
    """Rules for metrics, choice of the baseline, and the exit status of each verdict."""

    def __init__(
        self,
        settings: GateSettings,
        benchmark_type: BenchmarkType,
        results_dir: Path,
        plan_rules: tuple[str, ...] = (),
    ) -> None:
        self.settings = settings
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
        )
        for path in settings.reports:
            check_report_path(path)

    @property
    def looks(self) -> int:
        """Largest number of looks at the samples."""
        return self.settings.looks if self.settings.undecided == "retry" else 1

    def judge(
        self, metadata: RunMetadata, look: int = 1, more: Mapping[str, int] | None = None
    ) -> GateResult:
        """Judge a run by its metadata; InvalidInputError if the baseline does not exist.

        `more` maps the cases that can run more trials to the number that each look adds.
        """
        run = series_from_metadata(metadata)
        retries = Retries(self.looks if more else 1, more or {})
        is_selftest = self.settings.is_selftest
        result = self._judge_halves(run) if is_selftest else self._judge_run(run, retries)
        undecided_fails = self.settings.undecided == "fail"
        return replace(result, look=look, looks=retries.looks, undecided_fails=undecided_fails)

    def _judge_run(self, run: RunSeries, retries: Retries) -> GateResult:
        across = self.settings.across
        with History(self._results_dir) as history:
            baselines = find_baselines(run, self._choice, history, across=across)
        refusals = {case: one.refusal for case, one in baselines.items() if one.refusal}
        return GateResult(
            run_id=run.run_id,
            baseline=str(self._choice),
            verdicts=judge_run(run, baselines, self._rules, retries=retries),
            refusals=refusals or ({} if run.cases else {"run": "it has no case with trials"}),
            across=across,
        )

    def _judge_halves(self, run: RunSeries) -> GateResult:
        candidate, baselines = split_for_selftest(run)
        return GateResult(
            run_id=run.run_id,
            baseline="the other half of its own trials",
            verdicts=judge_run(candidate, baselines, self._rules),
            refusals={},
        )

    def exit_status(self, result: GateResult) -> int:
        """Return the exit status of a session whose tests have passed."""
        changed = [*result.with_verdict(Verdict.REGRESSED)]
        if self.settings.is_selftest:
            changed += result.with_verdict(Verdict.IMPROVED)
        undecided = result.with_verdict(Verdict.UNDECIDED)
        if changed or (undecided and result.undecided_fails):
            return int(pytest.ExitCode.TESTS_FAILED)
        lacks_baseline = bool(result.with_verdict(Verdict.COLLECTING))
        if result.refusals or (lacks_baseline and self.settings.no_baseline == "error"):
            return int(pytest.ExitCode.USAGE_ERROR)
        return int(pytest.ExitCode.OK)

    def write_reports(self, result: GateResult) -> list[str]:
        """Write the reports and the summary of a CI step; return a message for each failure."""
        problems = []
        for path in self.settings.reports:
            try:
                write_gate_report(result, path)
            except OSError as error:
                problems.append(f"cannot write the gate's report {path}: {error.strerror}")
        summary = summary_file(os.environ)
        if summary is not None:
            try:
                with summary.open("a", encoding="utf-8") as file:
                    file.write(as_markdown(result))
            except OSError as error:
                problems.append(f"cannot write the step's summary {summary}: {error.strerror}")
        return problems


def rounds(settings: GateSettings, trials: int, *, are_set: bool) -> int:
    """Return the number of trials of a case: twice as many for a self-test."""
    if not settings.is_selftest:
        return trials
    return 2 * (trials if are_set else SELFTEST_TRIALS)


class SessionGate:
    """The gate of one session; every rank has one."""

    def __init__(
        self,
        gate: GatePolicy,
        metadata: Callable[[], RunMetadata],
        bcast: Callable[[Any], Any],
        *,
        is_root: bool,
    ) -> None:
        self.result: GateResult | None = None
        self.status = int(pytest.ExitCode.OK)
        self.annotations: list[str] = []
        self.problems: list[str] = []
        self._gate = gate
        self._metadata = metadata
        self._bcast = bcast
        self._is_root = is_root
        self._more: dict[str, tuple[int, RunMore]] = {}

    def offer_more(self, case: str, trials: int, run: RunMore) -> None:
        """Register a function that runs more trials of a case, and the number to run at a time."""
        self._more[case] = (trials, run)

    def judge(self, report: Callable[[str], None]) -> None:
        """Judge the session's run; with retries, run more trials while they may decide it."""
        result = self._judge_together(look=1)
        for look in range(2, self._gate.looks + 1):
            undecided = () if result is None else result.cases_to_retry
            retried = [case for case in undecided if case in self._more]
            if not retried:
                break
            for case in retried:
                trials, run = self._more[case]
                count = "1 more trial" if trials == 1 else f"{trials} more trials"
                report(f"gate: {case} is undecided: {count}, for look {look}")
                run(trials)
            result = self._judge_together(look)
        self.result = result
        if result is None:
            return
        self.status = self._gate.exit_status(result)
        if self._is_root:
            self.annotations = github_annotations(result, os.environ)
            self.problems += self._gate.write_reports(result)

    def _judge_together(self, look: int) -> GateResult | None:
        """Judge on rank 0 and broadcast the result; None on every rank after an error."""
        result: GateResult | None
        result, problem = None, ""
        if self._is_root:
            try:
                more = {case: trials for case, (trials, _) in self._more.items()}
                result = self._gate.judge(self._metadata(), look, more)
            except MlpsError as error:
                problem = str(error)
        result, problem = self._bcast((result, problem))
        if problem:
            self.problems.append(problem)
            self.status = int(pytest.ExitCode.USAGE_ERROR)
        return result

    def add_junit_properties(self, config: pytest.Config) -> None:
        """Add each verdict to the junit XML file, if there is one, as a property of the suite."""
        if self.result is None:
            return
        for one in self.result.verdicts:
            name = f"mlpstorage.gate.{one.case}.{one.metric}"
            add_junit_property(config, name, f"{one.verdict.value}: {one.reason}")
        for case, reason in self.result.refusals.items():
            add_junit_property(config, f"mlpstorage.gate.{case}", f"not compared: {reason}")
