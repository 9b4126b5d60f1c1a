"""The command `--mlps-gate=ID`: compare an earlier run with its baseline."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mlpstorage_bench import registry
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.gate.github import github_annotations
from mlpstorage_bench.gate.result import PASSED, TESTS_FAILED
from mlpstorage_bench.gate.series import read_series
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.options.declared import given_options
from mlpstorage_bench.options.settings import gate_settings
from mlpstorage_bench.paths import look_up
from mlpstorage_bench.process.stdout import text_width, write_lines
from mlpstorage_bench.report.gate_report import (
    GATE_TABLE_WIDTH,
    append_step_summary,
    gate_lines,
    gate_table,
)
from mlpstorage_bench.report.results_table import as_lines
from mlpstorage_bench.session.file_arguments import check_gate_files
from mlpstorage_bench.session.gate_policy import GatePolicy

GATE_OPTION = "--mlps-gate"


def is_requested(known: argparse.Namespace) -> bool:
    """Whether the option names an earlier run; without an ID the session's own run is judged."""
    return bool(known.mlps_gate)


def run(known: argparse.Namespace, results_dir: Path) -> int:
    """Print the verdicts on a run and return the resulting exit status.

    Raises InvalidInputError if the run or the baseline does not exist.
    """
    run_id = known.mlps_gate
    if "/" in run_id or "::" in run_id or look_up(GATE_OPTION, Path(run_id)) is not None:
        raise InvalidInputError(
            GATE_OPTION,
            run_id,
            "the id of an earlier run, or nothing",
            hint=f"{run_id!r} was read as its value. Put {GATE_OPTION} last to run these tests and "
            "judge them",
        )
    with History(results_dir) as history:
        path = history.find(GATE_OPTION, run_id)
        for remark in history.remarks:
            sys.stderr.write(f"mlpstorage: {for_terminal(remark)}\n")
    earlier = read_series(GATE_OPTION, path)
    settings = gate_settings(given_options(known))
    gate = GatePolicy(settings, registry.load(earlier.benchmark_type), results_dir)
    check_gate_files(settings, path)
    gate.check_baseline(earlier.tags, lambda: earlier.branch)
    result = gate.judge(earlier, is_past=True)
    width = max(text_width(), GATE_TABLE_WIDTH)
    lines = [*as_lines(gate_table(result), width), *gate_lines(result)]
    lines += map(for_terminal, [*github_annotations(result, os.environ), result.headline])
    problems = gate.write_reports(result)
    write_lines(lines)
    for problem in [*append_step_summary(result, os.environ), *problems]:
        sys.stderr.write(f"mlpstorage: {for_terminal(problem)}\n")
    return result.exit_status or (TESTS_FAILED if problems else PASSED)
