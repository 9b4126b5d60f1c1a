"""What is answered instead of running: the history of runs, sizes, the conversion of a file."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from rich.console import Console

from mlpstorage_bench import options, registry
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.history.scan import scan
from mlpstorage_bench.mpi.environment import detect_launcher
from mlpstorage_bench.report.history_table import NARROWEST_TABLE, history_table
from mlpstorage_bench.report.size_table import SIZE_TABLE_WIDTH, size_lines
from mlpstorage_bench.results.convert import convert_file
from mlpstorage_bench.sizes import size_report


def answer(config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Print the answer and end the process, when the options ask for one; else do nothing.

    Called before conftests are loaded: neither a project's code nor its collection takes part.
    """
    known: argparse.Namespace = config.known_args_namespace
    answers = (
        *(known.mlps_history, known.mlps_convert),
        *(known.mlps_datasize, known.mlps_fio_job),
    )
    if not any(answers):
        return
    if known.help or known.version:
        return
    _refuse_unknown(parser, args)
    launcher = detect_launcher(os.environ)
    if launcher is not None and launcher.rank > 0:
        raise SystemExit(pytest.ExitCode.OK)
    results_dir = options.results_dir(known, os.environ)
    if known.mlps_convert:
        _convert(Path(known.mlps_convert), results_dir)
    elif known.mlps_fio_job:
        _show_fio_job(Path(known.mlps_fio_job))
    elif known.mlps_datasize:
        fits = _show_datasize(known)
        raise SystemExit(pytest.ExitCode.OK if fits else pytest.ExitCode.TESTS_FAILED)
    else:
        show_history(results_dir)
    raise SystemExit(pytest.ExitCode.OK)


def _refuse_unknown(parser: pytest.Parser, args: list[str]) -> None:
    """Refuse a misspelt option of ours; others may be a conftest's, which is not loaded here."""
    _, unknown = parser.parse_known_and_unknown_args(args)
    for argument in unknown:
        if argument.startswith("--mlps-"):
            raise pytest.UsageError(f"unrecognized argument: {argument}")


def _convert(path: Path, results_dir: Path) -> None:
    try:
        metadata = convert_file(path, results_dir, registry.load)
    except MlpsError as error:
        raise pytest.UsageError(str(error)) from error
    sys.stdout.write(f"{metadata}\n")


def _show_fio_job(trace: Path) -> None:
    try:
        job = registry.load(registry.DEFAULT).fio_job(trace)
    except MlpsError as error:
        raise pytest.UsageError(str(error)) from error
    sys.stdout.write(job)


def _show_datasize(known: argparse.Namespace) -> bool:
    """Print what the profile takes, and return whether it fits."""
    try:
        settings = options.read_settings(known, os.environ)
        benchmark_type = registry.load(registry.DEFAULT)
        plan = benchmark_type.plan(settings.plan_request())
        report = size_report(settings, benchmark_type, plan)
    except MlpsError as error:
        raise pytest.UsageError(str(error)) from error
    if known.mlps_datasize == "json":
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        width = max(shutil.get_terminal_size().columns, SIZE_TABLE_WIDTH)
        for line in size_lines(report, width):
            sys.stdout.write(f"{line}\n")
    return bool(report["fits"])


def show_history(results_dir: Path) -> None:
    """Print the runs in a results directory, newest last, and what could not be read."""
    history = scan(results_dir)
    width = max(shutil.get_terminal_size().columns, NARROWEST_TABLE)
    console = Console(file=sys.stdout, highlight=False, width=width)
    if history.runs:
        console.print(history_table(history.runs))
    else:
        sys.stdout.write(f"No runs in {results_dir}\n")
    for problem in history.problems:
        sys.stderr.write(f"mlpstorage: skipped {problem}\n")
