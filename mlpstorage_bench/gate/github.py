"""What GitHub Actions shows of a verdict: annotations on the run, and a summary of the step.

Workflow commands are documented at docs.github.com, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.verdicts import GateResult

_LEVEL = {
    Verdict.REGRESSED: "error",
    Verdict.UNDECIDED: "warning",
    Verdict.IMPROVED: "notice",
    Verdict.COLLECTING: "notice",
}


def github_annotations(result: GateResult, environ: Mapping[str, str]) -> list[str]:
    """Return the lines that make annotations; none outside of GitHub Actions."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return []
    lines = [
        f"::{_LEVEL[one.verdict]} title={_property(f'{one.case}: {one.metric} {one.verdict}')}"
        f"::{_data(one.reason)}"
        for one in result.verdicts
        if one.verdict in _LEVEL
    ]
    return lines + [
        f"::error title={_property(f'{case}: not compared')}::{_data(reason)}"
        for case, reason in result.refusals.items()
    ]


def summary_file(environ: Mapping[str, str]) -> Path | None:
    """Return the file to which the step's summary is appended, where there is one."""
    path = environ.get("GITHUB_STEP_SUMMARY")
    return Path(path) if environ.get("GITHUB_ACTIONS") == "true" and path else None


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
