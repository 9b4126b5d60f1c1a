"""The command `--mlps-validate=DIR`: check a result tree against rules."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.paths import OutputFile, check_outputs
from mlpstorage_bench.process.stdout import text_width, write_lines
from mlpstorage_bench.report.results_table import as_lines
from mlpstorage_bench.report.validation_report import (
    REPORT_OPTION,
    VALIDATION_TABLE_WIDTH,
    check_validation_report,
    is_own_validation_report,
    summary_lines,
    validation_table,
    write_validation_report,
)
from mlpstorage_bench.session.pytest_internals.junit import (
    JunitCase,
    JunitOutcome,
    junit_path,
    write_junit,
)
from mlpstorage_bench.validation.rule import Verdict
from mlpstorage_bench.validation.tree import Tree, read_tree
from mlpstorage_bench.validation.validate import Finding, validate, worst

_JUNIT_OUTCOMES: Mapping[Verdict, JunitOutcome] = {
    Verdict.OK: "passed",
    Verdict.WARNING: "passed",
    Verdict.VIOLATED: "failed",
    Verdict.UNKNOWN: "skipped",
    Verdict.NOT_APPLICABLE: "skipped",
}


def run(known: argparse.Namespace) -> int:
    """Print what needs attention, write the reports, and return the exit status.

    Raises InvalidInputError if there is no run at or below the directory.
    """
    reports = reports_of(known)
    return report(read_tree(Path(known.mlps_validate)), reports, known)


def reports_of(known: argparse.Namespace) -> list[Path]:
    """Return the files to which all verdicts are to be written; InvalidInputError for others."""
    reports = [
        check_validation_report(Path(path).absolute()) for path in known.mlps_validate_report or ()
    ]
    check_outputs(
        [OutputFile(REPORT_OPTION, path, is_own_validation_report) for path in reports], []
    )
    return reports


def report(tree: Tree, reports: Sequence[Path], known: argparse.Namespace) -> int:
    """Check a tree, print what needs attention, write the reports, and return the exit status."""
    findings = validate(tree)
    runs = len(tree.leaves)
    width = max(text_width(), VALIDATION_TABLE_WIDTH)
    lines = [*as_lines(validation_table(findings), width), *summary_lines(findings, runs)]
    write_lines(lines)
    for path in reports:
        write_validation_report(path, findings, tree.root, runs)
        write_lines([f"report: {for_terminal(str(path))}"])
    junit_file = junit_path(known)
    if junit_file is not None:
        _write_junit(junit_file, findings)
    is_violated = worst(findings) is Verdict.VIOLATED
    return pytest.ExitCode.TESTS_FAILED if is_violated else pytest.ExitCode.OK


def _write_junit(path: Path, findings: Sequence[Finding]) -> None:
    try:
        write_junit(path, "mlpstorage rules", map(_junit_case, findings))
    except OSError as error:
        raise InvalidInputError(
            "--junitxml", str(path), "a file that can be written", hint=error.strerror or ""
        ) from error


def _junit_case(finding: Finding) -> JunitCase:
    """Return a rule's verdict as a test case of a junit file."""
    reason = "\n".join(finding.reasons)
    verdict = f"{finding.verdict}: {reason}"
    return JunitCase(
        f"{finding.subject}::{finding.rule} {finding.name}",
        _JUNIT_OUTCOMES[finding.verdict],
        verdict,
        {"verdict": verdict, "described_in": finding.described_in},
    )
