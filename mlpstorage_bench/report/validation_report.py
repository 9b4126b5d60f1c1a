"""The findings of a validation: a table in the terminal, JSON, Markdown and HTML."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.paths import is_directory, starts_with
from mlpstorage_bench.report.markdown import MARKDOWN_BEGINNING, to_markdown
from mlpstorage_bench.report.page import Block, Page
from mlpstorage_bench.report.render import check_renderer, is_own_report, to_html
from mlpstorage_bench.report.tables import Section
from mlpstorage_bench.results.tree import write_text
from mlpstorage_bench.units import counted
from mlpstorage_bench.validation.rule import Verdict
from mlpstorage_bench.validation.validate import RULES_PAGE, Finding

REPORT_OPTION = "--mlps-validate-report"
VALIDATION_TABLE_WIDTH = 120
"""Least width of the table, in columns of the terminal."""
_WRITER = {"written_by": "mlpstorage_bench"}
_JSON_BEGINNING = json.dumps(_WRITER, indent=2).removesuffix("\n}")
_SHOWN = (Verdict.VIOLATED, Verdict.WARNING, Verdict.UNKNOWN)
"""Verdicts that the terminal lists, most severe first; the others are counted."""
_NEXT = {
    Verdict.VIOLATED: "the tree fails",
    Verdict.WARNING: "look at these before you hand it in",
    Verdict.UNKNOWN: "the files do not say",
}


def validation_table(findings: Sequence[Finding]) -> Table:
    """Return the table of what needs attention, the most severe verdict first."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in ("verdict", "rule", "where", "reason"):
        table.add_column(column, overflow="fold")
    for verdict in _SHOWN:
        for finding in findings:
            if finding.verdict is verdict:
                table.add_row(
                    verdict,
                    finding.rule,
                    for_terminal(finding.subject),
                    "\n".join(map(for_terminal, finding.reasons)),
                )
    return table


def summary_lines(findings: Sequence[Finding], runs: int) -> list[str]:
    """Return the counts of verdicts, and what each means."""
    counts = Counter(finding.verdict for finding in findings)
    lines = [
        f"{counts[verdict]} {verdict}: {_NEXT[verdict]}" for verdict in _SHOWN if counts[verdict]
    ]
    if lines:
        lines.append(f"{RULES_PAGE} leads to a page for each rule")
    total = (
        f"{counted(len(findings), 'check')} of {counted(runs, 'run')}: {counts[Verdict.OK]} ok, "
    )
    return [*lines, f"{total}{counts[Verdict.NOT_APPLICABLE]} not applicable"]


def build_validation_report(findings: Sequence[Finding], root: Path, runs: int) -> Page:
    """Return all findings as a page: a section for each part of the tree."""
    by_subject: dict[str, list[Finding]] = {}
    for finding in findings:
        by_subject.setdefault(finding.subject, []).append(finding)
    return Page(
        title=f"Validation of {root.name}",
        notes=tuple(summary_lines(findings, runs)),
        blocks=tuple(
            Block(
                "the whole tree" if subject == "." else subject,
                (Section("", _HEADER, tuple(map(_row, of_subject))),),
            )
            for subject, of_subject in by_subject.items()
        ),
        is_complete=True,
    )


_HEADER = ("rule", "name", "demand", "verdict", "reason", "checked from", "described in")


def _row(finding: Finding) -> tuple[str, ...]:
    return (
        finding.rule,
        finding.name,
        finding.demand,
        str(finding.verdict),
        "; ".join(finding.reasons),
        finding.source,
        finding.described_in,
    )


def _to_json(findings: Sequence[Finding], root: Path, runs: int) -> str:
    content = {
        **_WRITER,
        "root": str(root),
        "runs": runs,
        "findings": [
            {
                "rule": finding.rule,
                "name": finding.name,
                "subject": finding.subject,
                "verdict": finding.verdict,
                "reasons": list(finding.reasons),
                "demand": finding.demand,
                "checked_from": finding.source,
                "described_in": finding.described_in,
            }
            for finding in findings
        ],
    }
    return json.dumps(content, indent=2) + "\n"


def _to_markdown(findings: Sequence[Finding], root: Path, runs: int) -> str:
    return MARKDOWN_BEGINNING + to_markdown(build_validation_report(findings, root, runs))


def _to_html(findings: Sequence[Finding], root: Path, runs: int) -> str:
    return to_html(build_validation_report(findings, root, runs))


_FORMATS: Mapping[str, Callable[[Sequence[Finding], Path, int], str]] = {
    ".json": _to_json,
    ".md": _to_markdown,
    ".html": _to_html,
}


def write_validation_report(path: Path, findings: Sequence[Finding], root: Path, runs: int) -> None:
    """Write all findings in the format of the file's suffix; raises ResultsError on failure."""
    write_text(path, _FORMATS[path.suffix](findings, root, runs))


def is_own_validation_report(path: Path) -> bool:
    """Return whether a file is a report that an earlier command wrote."""
    if path.suffix == ".json":
        return starts_with(_JSON_BEGINNING.encode())(path)
    return is_own_report(path)


def check_validation_report(path: Path) -> Path:
    """Return the path; InvalidInputError if its suffix or its directory is not usable."""
    if path.suffix not in _FORMATS:
        raise InvalidInputError(REPORT_OPTION, str(path), "a file name in .json, .md or .html")
    check_renderer(path)
    if not is_directory(REPORT_OPTION, path.parent):
        raise InvalidInputError(REPORT_OPTION, str(path), "a file in a directory that exists")
    return path
