"""The command `--mlps-compare=RUN`: show runs of any program side by side."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from mlpstorage_bench.commands import run_files
from mlpstorage_bench.compare.find import COMPARE_OPTION, find_subject
from mlpstorage_bench.compare.subject import Comparison
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.paths import OutputFile, check_outputs
from mlpstorage_bench.process.stdout import text_width, write_lines
from mlpstorage_bench.report.compare_page import build_comparison_report
from mlpstorage_bench.report.compare_report import (
    REPORT_OPTION,
    check_compare_report,
    compare_lines,
    is_own_compare_report,
    write_compare_report,
)

_LEAST_RUNS = 2


def run(known: argparse.Namespace, results_dir: Path) -> int:
    """Print the comparison, write the reports, and return the exit status.

    Raises InvalidInputError if a run is not found, or only one is given.
    """
    given = known.mlps_compare or []
    if len(given) < _LEAST_RUNS:
        raise InvalidInputError(
            COMPARE_OPTION,
            " ".join(given) or "nothing",
            "two or more runs",
            hint=f"Give {COMPARE_OPTION} once for each run",
        )
    reports = [
        check_compare_report(Path(path).absolute()) for path in known.mlps_compare_report or ()
    ]
    pages = run_files.files_of(known)
    check_outputs(
        [
            *(OutputFile(REPORT_OPTION, path, is_own_compare_report) for path in reports),
            *pages.outputs(),
        ],
        [],
    )
    with History(results_dir) as history:
        comparison = Comparison([find_subject(one, history) for one in given])
        for remark in history.remarks:
            sys.stderr.write(f"mlpstorage: {for_terminal(remark)}\n")
    write_lines(compare_lines(comparison, text_width()))
    for path in reports:
        write_compare_report(path, comparison)
        write_lines([f"report: {for_terminal(str(path))}"])
    for line in pages.write_page(build_comparison_report(comparison)):
        write_lines([for_terminal(line)])
    return pytest.ExitCode.OK
