"""The gate's settings for the runs of a benchmark type: rules, baseline, and what fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mlpstorage_bench.benchmark_type.interface import BenchmarkType
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.gate.baseline import find_baselines
from mlpstorage_bench.gate.baseline_choice import BaselineChoice, check_choice, parse_choice
from mlpstorage_bench.gate.looks import Retries
from mlpstorage_bench.gate.not_judged import unused_rules
from mlpstorage_bench.gate.result import FailureRules, GateResult
from mlpstorage_bench.gate.rules import PROFILE_SOURCE, RULE_OPTION, Rules, parse_rules
from mlpstorage_bench.gate.selftest import SELFTEST_TRIALS, split_for_selftest
from mlpstorage_bench.gate.series import RunSeries
from mlpstorage_bench.gate.verdicts import judge_run
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.metric.declaration import AnyMetric
from mlpstorage_bench.options.settings import GateSettings
from mlpstorage_bench.paths import OutputFile, check_outputs
from mlpstorage_bench.report.gate_report import (
    REPORT_OPTION,
    check_report_path,
    is_own_gate_report,
    write_gate_report,
)

_MOST_UNREADABLE = 5
"""Number of files in the results directory that are named because they cannot be read."""


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
                *((PROFILE_SOURCE, line) for line in plan_rules),
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
        self,
        run: RunSeries,
        look: int = 1,
        more: Mapping[str, int] | None = None,
        others: Sequence[RunSeries] = (),
        *,
        is_past: bool = False,
    ) -> GateResult:
        """Judge a run; InvalidInputError if the baseline does not exist.

        `more` maps the cases that can run more trials to the number that each look adds.
        `others` are the other runs of the session.
        `is_past` is true of a run that a user names, after which others may have begun.
        """
        retries = Retries(self.looks if more else 1, more or {})
        is_selftest = self.settings.is_selftest
        result = (
            self._judge_halves(run)
            if is_selftest
            else self._judge_run(run, retries, is_past=is_past)
        )
        rules = FailureRules(
            undecided=self.settings.undecided == "fail",
            collecting=self.settings.no_baseline == "error",
            improved=is_selftest,
            disturbed=self.settings.disturbed == "error",
        )
        return replace(
            result,
            look=look,
            looks=retries.looks,
            failure_rules=rules,
            has_fixed_trials=run.has_fixed_trials,
            unused_rules=tuple(unused_rules(self._rules, run, others, result.verdicts)),
        )

    @property
    def _ignores_disturbances(self) -> bool:
        return self.settings.disturbed == "ignore"

    def _judge_run(self, run: RunSeries, retries: Retries, *, is_past: bool) -> GateResult:
        across = self.settings.across
        with History(self._results_dir) as history:
            baselines = find_baselines(
                run,
                self._choice,
                history,
                across=across,
                ignores_disturbances=self._ignores_disturbances,
                metrics=self._rules.metrics,
                is_past=is_past,
            )
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
            ignores_disturbances=self._ignores_disturbances,
        )
        return GateResult(
            run_id=run.run_id,
            baseline=str(self._choice),
            verdicts=judged.metrics,
            refusals=refusals or ({} if run.cases else {"run": "it has no case with trials"}),
            disturbances=judged.disturbances,
            not_judged=judged.not_judged,
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
            ignores_disturbances=self._ignores_disturbances,
        )
        return GateResult(
            run_id=run.run_id,
            baseline="the other half of its own trials",
            verdicts=judged.metrics,
            refusals={},
            disturbances=judged.disturbances,
            not_judged=judged.not_judged,
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


def rounds(settings: GateSettings, trials: int, *, are_set: bool) -> int:
    """Return the number of trials of a case: twice as many for a self-test."""
    if not settings.is_selftest:
        return trials
    return 2 * (trials if are_set else SELFTEST_TRIALS)


def most_looks(settings: GateSettings) -> int:
    """Return how often a run is judged at most; each time but the first adds trials."""
    return settings.looks if settings.undecided == "retry" else 1
