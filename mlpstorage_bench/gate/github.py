"""GitHub Actions output: verdicts as annotations of the run, and the file of the step's summary.

Workflow commands are documented at docs.github.com, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.metric_verdict import MetricVerdict
from mlpstorage_bench.gate.result import GateResult

_SILENT = frozenset({Verdict.PASSED})


def github_annotations(result: GateResult, environ: Mapping[str, str]) -> list[str]:
    """Return workflow commands that annotate the run; none outside GitHub Actions.

    An error is what fails the session. A disturbed metric that passes is a warning, as nobody has
    judged it; so are a rule that judges nothing and, in the first run, too few trials for any
    comparison. All else is a notice.
    """
    if environ.get("GITHUB_ACTIONS") != "true":
        return []
    lines = [
        f"::{_level(result, one)} "
        f"title={_property(f'{one.case}: {one.metric} {one.verdict}')}::{_data(one.reason)}"
        for one in result.verdicts
        if one.verdict not in _SILENT
    ]
    level = "error" if result.fails_by_rules else "warning"
    lines += [
        f"::{level} title={_property('a rule judges nothing')}::{_data(str(one))}"
        for one in result.unused_rules
    ]
    return lines + [
        f"::error title={_property(f'{case}: not compared')}::{_data(reason)}"
        for case, reason in result.refusals.items()
    ]


def _level(result: GateResult, one: MetricVerdict) -> str:
    if result.fails(one):
        return "error"
    is_short = one.is_short and not result.is_known(one)
    return "warning" if is_short or one.verdict is Verdict.DISTURBED else "notice"


def summary_file(environ: Mapping[str, str]) -> Path | None:
    """Return the file of the step's summary; None outside GitHub Actions."""
    path = environ.get("GITHUB_STEP_SUMMARY")
    return Path(path) if environ.get("GITHUB_ACTIONS") == "true" and path else None


def _data(text: str) -> str:
    """Escape the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
