"""The command `--mlps-submission=DIR`: make a directory to hand in from runs, and check it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mlpstorage_bench.commands import validation
from mlpstorage_bench.commands.history import HISTORY_OPTION, filter_of, run_id_of
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.process.stdout import write_lines
from mlpstorage_bench.submission.assembly import (
    SYSTEMS_OPTION,
    Submission,
    assemble,
    check_directory,
    check_systems,
)
from mlpstorage_bench.submission.choice import RUN_OPTION, SUBMISSION_OPTION, RunId, choose
from mlpstorage_bench.units import counted

_OTHERS = (
    *("validate", "history_rm", "history_rerun", "history_trend", "history_format"),
    "history_rebuild",
)
"""Options of other commands, which would be ignored."""


def is_requested(known: argparse.Namespace) -> bool:
    """Whether an option of submissions is given."""
    return any(
        value is not None
        for value in (
            known.mlps_submission,
            known.mlps_submission_run,
            known.mlps_submission_systems,
        )
    )


def run(known: argparse.Namespace, results_dir: Path) -> int:
    """Make the submission, print what needs attention, and return the exit status.

    Raises InvalidInputError if the directory is not usable or no run is chosen.
    """
    if known.mlps_submission is None:
        option = RUN_OPTION if known.mlps_submission_run else SYSTEMS_OPTION
        raise InvalidInputError(option, "no directory", f"with {SUBMISSION_OPTION}=DIR alone")
    for name in _OTHERS:
        if getattr(known, f"mlps_{name}"):
            flag = f"--mlps-{name.replace('_', '-')}"
            raise InvalidInputError(SUBMISSION_OPTION, flag, "no other command")
    reports = validation.reports_of(known)
    directory = check_directory(Path(known.mlps_submission), results_dir)
    run_ids = [RunId(RUN_OPTION, text) for text in known.mlps_submission_run or ()]
    shown = run_id_of(known.mlps_history)
    run_ids += [RunId(HISTORY_OPTION, shown)] if shown else []
    with History(results_dir) as history:
        choice = choose(history, filter_of(known), run_ids)
        remarks = [*history.remarks, *(f"skipped {problem}" for problem in history.problems)]
    given = known.mlps_submission_systems
    systems = None if given is None else check_systems(Path(given), choice.runs)
    submission = assemble(choice, directory, systems)
    for remark in (*remarks, *submission.remarks):
        sys.stderr.write(f"mlpstorage: {for_terminal(remark)}\n")
    status = validation.report(submission.tree, reports, known)
    write_lines(map(for_terminal, _next_steps(submission, directory)))
    return status


def _next_steps(submission: Submission, directory: Path) -> list[str]:
    runs = len(submission.tree.leaves)
    lines = [f"submission of {counted(runs, 'run')}: {directory}"]
    lines += [
        f"fill in {path}, and put {path.with_suffix('.pdf').name} beside it"
        for path in submission.drafts
    ]
    if submission.drafts:
        lines.append(f"then check it: pytest --mlps-validate {directory}")
    return lines
