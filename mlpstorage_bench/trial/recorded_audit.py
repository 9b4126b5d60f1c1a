"""The audit of a recorded case: the worst of its trials, as objections and doubts show it."""

from __future__ import annotations

from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.measure.audit import SEVERITY, Verdict
from mlpstorage_bench.metric.values import Values

_CACHED: Verdict = "served from page cache"
_SEVERITY = {str(verdict): float(number) for number, verdict in enumerate(SEVERITY)}
_OF_UNKNOWN = 0.5
"""Severity of a verdict of another version: worse than ok."""


@dataclass(frozen=True)
class RecordedAudit:
    """A verdict, and its reason."""

    verdict: str
    reason: str

    @property
    def is_ok(self) -> bool:
        """Whether the kernel counted what was reported."""
        return self.verdict == "ok"

    @property
    def is_of_cache(self) -> bool:
        """Whether reads came from the page cache, or writes stayed there."""
        return self.verdict == _CACHED

    def __str__(self) -> str:
        return f"audit: {self.verdict}: {self.reason}"


def worst_audit(case: CaseRecord) -> RecordedAudit:
    """Return the worst audit of a case's trials."""
    worst: Values = max((trial.metrics for trial in case.trials), key=_severity, default={})
    return RecordedAudit(
        str(worst.get("audit_verdict", "not measurable")),
        str(worst.get("audit_reason", "nothing was measured")),
    )


def _severity(metrics: Values) -> float:
    return _SEVERITY.get(str(metrics.get("audit_verdict")), _OF_UNKNOWN)
