"""The verdict on one metric of one case."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mlpstorage_bench.gate.decision import Judgement, Verdict
from mlpstorage_bench.gate.evidence import MIN_RUNS
from mlpstorage_bench.gate.judgement import too_few_trials
from mlpstorage_bench.gate.rules import Rule


@dataclass(frozen=True)
class MetricVerdict:
    """Verdict on one metric of one case."""

    case: str
    rule: Rule
    verdict: Verdict
    reason: str
    value: float | None
    """Median of this run's trials, in the metric's unit; None if no trial has the metric."""
    trials: int
    judgement: Judgement | None = None
    """None if nothing was compared: the rule has only a limit, or there is no baseline."""
    baseline_runs: tuple[str, ...] = ()
    is_added: bool = False
    """Whether a collecting run is added to its baseline."""
    has_too_few_trials: bool = False
    """Whether there are fewer trials than a decision needs, even with those of all looks."""

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self.rule.metric

    @property
    def misses_limit(self) -> bool:
        """Whether the rule has a limit that the value does not meet."""
        limit = self.rule.limit
        return limit is not None and self.value is not None and not limit.holds(self.value)

    @property
    def is_short(self) -> bool:
        """Whether it is not compared because there never are enough trials."""
        is_open = self.verdict in (Verdict.COLLECTING, Verdict.UNDECIDED)
        return is_open and self.has_too_few_trials and self.value is not None

    @property
    def has_said_so(self) -> bool:
        """Whether an earlier run had the same reason; a named baseline of few runs has not."""
        least = 1 if self.verdict is Verdict.COLLECTING else MIN_RUNS
        return len(self.baseline_runs) >= least

    def collecting(self, *, exclusion: str = "") -> MetricVerdict:
        """Return the verdict `collecting`; `exclusion` says why this run does not count."""
        reason = self.progress(exclusion)
        if self.has_too_few_trials:
            reason += f"; {too_few_trials(self.trials)}"
        return replace(self, verdict=Verdict.COLLECTING, reason=reason, is_added=not exclusion)

    def excluded_from_baseline(self) -> MetricVerdict:
        """Return the verdict for a run that has regressed and so is not added to a baseline."""
        if self.verdict is not Verdict.COLLECTING:
            return self
        return self.collecting(exclusion="which has regressed")

    def progress(self, exclusion: str = "") -> str:
        """Return the number of baseline runs; `exclusion` says why this run does not count."""
        earlier = len(self.baseline_runs)
        if exclusion:
            return f"{earlier} of {MIN_RUNS} baseline runs, excluding this run, {exclusion}"
        return f"{earlier + 1} of {MIN_RUNS} baseline runs, including this run"
