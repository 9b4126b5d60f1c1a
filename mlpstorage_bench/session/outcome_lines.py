"""The last lines of a session with the gate: one for each run, and one for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlpstorage_bench.gate.result import outcome_line


@dataclass(frozen=True)
class RunOutcome:
    """Outcome of the gate for one run."""

    name: str
    """Benchmark type and model."""
    reason: str
    """Why it passed or failed."""
    is_failure: bool
    has_warning: bool = False

    @property
    def line(self) -> str:
        """The outcome in one line."""
        return outcome_line(self.reason, is_failure=self.is_failure, has_warning=self.has_warning)


def outcome_lines(outcomes: Sequence[RunOutcome]) -> list[tuple[str, bool]]:
    """Return lines, and whether each states a failure; the last one is that of the session."""
    if len(outcomes) == 1:
        return [(one.line, one.is_failure) for one in outcomes]
    lines = [(f"{one.name}: {one.line}", one.is_failure) for one in outcomes]
    failed = [one for one in outcomes if one.is_failure]
    passed = [one for one in outcomes if not one.is_failure]
    if failed:
        parts = [f"{one.name}: {one.reason}" for one in failed]
        parts += [f"passed: {one.name}" for one in passed]
        lines.append((outcome_line("; ".join(parts), is_failure=True), True))
    elif passed:
        names = "; ".join(one.name for one in passed)
        has_warning = any(one.has_warning for one in passed)
        lines.append((outcome_line(names, is_failure=False, has_warning=has_warning), False))
    return lines
