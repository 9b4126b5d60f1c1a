"""Commands that print and exit: history, gate, sizes, an fio job, a conversion."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.commands import gate, history
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.launch.environment import detect_launcher
from mlpstorage_bench.options.settings import read_settings, results_dir_of
from mlpstorage_bench.report.size_table import SIZE_TABLE_WIDTH, size_lines
from mlpstorage_bench.results.convert import convert_file
from mlpstorage_bench.session.size_report import size_report


def run(config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Run the command that the options request, and end the process; else return.

    Called before conftests are loaded: neither a project's code nor its collection takes part.
    """
    known: argparse.Namespace = config.known_args_namespace
    asks_history, asks_gate = history.is_requested(known), gate.is_requested(known)
    asks_other = known.mlps_convert or known.mlps_datasize or known.mlps_fio_job
    if not (asks_history or asks_gate or asks_other):
        return
    if known.help or known.version:
        return
    _refuse_unknown(parser, args)
    launcher = detect_launcher(os.environ)
    if launcher is not None and launcher.rank > 0:
        raise SystemExit(pytest.ExitCode.OK)
    results_dir = results_dir_of(known, os.environ)
    if known.mlps_convert:
        _convert(Path(known.mlps_convert), results_dir)
    elif known.mlps_fio_job:
        _show_fio_job(Path(known.mlps_fio_job))
    elif known.mlps_datasize:
        fits = _show_datasize(known)
        raise SystemExit(pytest.ExitCode.OK if fits else pytest.ExitCode.TESTS_FAILED)
    elif asks_gate:
        raise SystemExit(_show_verdicts(known, results_dir))
    else:
        _show_history(known, results_dir)
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
        job = registry.load(registry.DEFAULT).exports["fio_job"](trace)
    except MlpsError as error:
        raise pytest.UsageError(str(error)) from error
    sys.stdout.write(job)


def _show_datasize(known: argparse.Namespace) -> bool:
    """Print the sizes of the profile, and return whether it fits."""
    try:
        settings = read_settings(known, os.environ)
        plan = registry.load(registry.DEFAULT).plan(settings.plan_request())
        report = size_report(settings, plan)
    except MlpsError as error:
        raise pytest.UsageError(str(error)) from error
    if known.mlps_datasize == "json":
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        width = max(shutil.get_terminal_size().columns, SIZE_TABLE_WIDTH)
        for line in size_lines(report, width):
            sys.stdout.write(f"{line}\n")
    return bool(report["fits"])


def _show_history(known: argparse.Namespace, results_dir: Path) -> None:
    try:
        history.run(known, results_dir)
    except MlpsError as error:
        raise pytest.UsageError(str(error)) from error


def _show_verdicts(known: argparse.Namespace, results_dir: Path) -> int:
    try:
        return gate.run(known, results_dir)
    except MlpsError as error:
        raise pytest.UsageError(str(error)) from error
