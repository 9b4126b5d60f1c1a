"""The last lines of a session with the gate: one for each run, and one for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_FAILED, _PASSED = "gate FAILED", "gate passed"


@dataclass(frozen=True)
class RunOutcome:
    """Outcome of the gate for one run."""

    name: str
    """Benchmark type and model."""
    line: str
    """It begins with `gate passed` or `gate FAILED`."""
    is_failure: bool
    has_warning: bool = False


def outcome_lines(outcomes: Sequence[RunOutcome]) -> list[tuple[str, bool]]:
    """Return lines, and whether each states a failure; the last one is that of the session."""
    if len(outcomes) == 1:
        return [(one.line, one.is_failure) for one in outcomes]
    lines = [(f"{one.name}: {one.line}", one.is_failure) for one in outcomes]
    failed = [one for one in outcomes if one.is_failure]
    passed = [one for one in outcomes if not one.is_failure]
    if failed:
        parts = [f"{one.name}: {one.line.removeprefix(f'{_FAILED}: ')}" for one in failed]
        parts += [f"passed: {one.name}" for one in passed]
        lines.append((f"{_FAILED}: {'; '.join(parts)}", True))
    elif passed:
        warning = " with a warning" if any(one.has_warning for one in passed) else ""
        names = "; ".join(one.name for one in passed)
        lines.append((f"{_PASSED}{warning}: {names}", False))
    return lines
