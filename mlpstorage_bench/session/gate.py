"""The gate in a session: what is judged, when more trials are run, and what the session exits with.

Rank 0 judges; what follows from it (more trials, the exit status) all ranks do together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _pytest.junitxml import xml_key

from mlpstorage_bench.benchmark_type import BenchmarkType
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.gate.baseline import (
    SELFTEST_TRIALS,
    Choice,
    baselines_of,
    halves,
    parse_choice,
)
from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.github import github_annotations, summary_file
from mlpstorage_bench.gate.looks import Retries
from mlpstorage_bench.gate.rules import RULE_OPTION, Rules, parse_rules
from mlpstorage_bench.gate.series import RunSeries, series_of
from mlpstorage_bench.gate.verdicts import GateResult, judge_run
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.options.settings import GateSettings
from mlpstorage_bench.report.gate_report import as_markdown, check_report_path, write_gate_report

RunMore = Callable[[int], None]
"""Runs so many more trials of a case, on all ranks together."""


class GatePolicy:
    """What is asked of a run, and with what it is compared."""

    def __init__(
        self,
        settings: GateSettings,
        benchmark_type: BenchmarkType,
        results_dir: Path,
        plan_rules: tuple[str, ...] = (),
    ) -> None:
        self.settings = settings
        self._results_dir = results_dir
        self._choice = Choice() if settings.baseline is None else parse_choice(settings.baseline)
        self._rules: Rules = parse_rules(
            benchmark_type.gated,
            [
                *(("gate, in the profile", line) for line in plan_rules),
                *((RULE_OPTION, line) for line in settings.rules),
            ],
            benchmark_type.metric_synonyms,
            benchmark_type.trial_metrics,
        )
        for path in settings.reports:
            check_report_path(path)

    @property
    def looks(self) -> int:
        """How often the samples may be looked at."""
        return self.settings.looks if self.settings.undecided == "retry" else 1

    def judge(
        self, metadata: Mapping[str, Any], look: int = 1, more: Mapping[str, int] | None = None
    ) -> GateResult:
        """Judge a run by its metadata; InvalidInputError where the baseline is none.

        `more` names the cases that more trials can be run of, and how many each look adds.
        """
        run = series_of(metadata)
        retries = Retries(self.looks if more else 1, more or {})
        result = self._halves(run) if self.settings.is_selftest else self._against(run, retries)
        undecided_fails = self.settings.undecided == "fail"
        return replace(result, look=look, looks=retries.looks, undecided_fails=undecided_fails)

    def _against(self, run: RunSeries, retries: Retries) -> GateResult:
        across = self.settings.across
        with History(self._results_dir) as history:
            baselines = baselines_of(run, self._choice, history, across=across)
        refusals = {case: one.refusal for case, one in baselines.items() if one.refusal}
        return GateResult(
            run_id=run.run_id,
            baseline=str(self._choice),
            verdicts=judge_run(run, baselines, self._rules, retries=retries),
            refusals=refusals or ({} if run.cases else {"run": "it has no case with trials"}),
            across=across,
        )

    def _halves(self, run: RunSeries) -> GateResult:
        candidate, baselines = halves(run)
        return GateResult(
            run_id=run.run_id,
            baseline="the other half of its own trials",
            verdicts=judge_run(candidate, baselines, self._rules),
            refusals={},
        )

    def exit_status(self, result: GateResult) -> int:
        """Return what a session that has passed otherwise exits with."""
        changed = [*result.of(Verdict.REGRESSED)]
        if self.settings.is_selftest:
            changed += result.of(Verdict.IMPROVED)
        is_open = bool(result.of(Verdict.UNDECIDED)) and result.undecided_fails
        if changed or is_open:
            return int(pytest.ExitCode.TESTS_FAILED)
        lacks_baseline = bool(result.of(Verdict.COLLECTING))
        if result.refusals or (lacks_baseline and self.settings.no_baseline == "error"):
            return int(pytest.ExitCode.USAGE_ERROR)
        return int(pytest.ExitCode.OK)

    def write_reports(self, result: GateResult) -> list[str]:
        """Write the reports, and the summary of a step in CI; return what could not be written."""
        problems = []
        for path in self.settings.reports:
            try:
                write_gate_report(result, path)
            except OSError as error:
                problems.append(f"the gate's report {path} cannot be written: {error.strerror}")
        summary = summary_file(os.environ)
        if summary is not None:
            try:
                with summary.open("a", encoding="utf-8") as file:
                    file.write(as_markdown(result))
            except OSError as error:
                problems.append(f"the step's summary cannot be written: {error.strerror}")
        return problems


def rounds(settings: GateSettings, trials: int, *, are_set: bool) -> int:
    """Return how many trials a case has: for a self-test as many for each half."""
    if not settings.is_selftest:
        return trials
    return 2 * (trials if are_set else SELFTEST_TRIALS)


class SessionGate:
    """The gate of one session on every rank."""

    def __init__(
        self,
        gate: GatePolicy,
        metadata: Callable[[], Mapping[str, Any]],
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
        """Take what runs more trials of a case, and how many it has had at a time."""
        self._more[case] = (trials, run)

    def judge(self, tell: Callable[[str], None]) -> None:
        """Judge the session's run, with more trials while that is wanted and may decide it."""
        result = self._judge_together(look=1)
        for look in range(2, self._gate.looks + 1):
            undecided = () if result is None else result.cases_to_repeat
            wanted = [case for case in undecided if case in self._more]
            if not wanted:
                break
            for case in wanted:
                trials, run = self._more[case]
                tell(f"gate: {case} is undecided: {trials} more trials, for look {look}")
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
        """Judge on rank 0; None on every rank when that cannot be done."""
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

    def note_in_junit_xml(self, config: pytest.Config) -> None:
        """Let junit XML, where it is written, carry each verdict as a property of the suite."""
        xml = config.stash.get(xml_key, None)
        if xml is None or self.result is None:
            return
        for one in self.result.verdicts:
            xml.add_global_property(
                f"mlpstorage.gate.{one.case}.{one.metric}", f"{one.verdict.value}: {one.reason}"
            )
        for case, reason in self.result.refusals.items():
            xml.add_global_property(f"mlpstorage.gate.{case}", f"not compared: {reason}")
