"""Dispatch of the commands that print and exit instead of running tests."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.commands import (
    compare,
    datasize,
    doctor,
    gate,
    history,
    submission,
    validation,
)
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.options.declared import (
    add_reference_names,
    has_reference_name,
    unknown_arguments,
)
from mlpstorage_bench.options.names import ALIASES_INI
from mlpstorage_bench.options.settings import results_dir_of
from mlpstorage_bench.process.stdout import write_data
from mlpstorage_bench.results.convert import convert_file
from mlpstorage_bench.session.activation import launcher_of
from mlpstorage_bench.session.pytest_internals.command_line import load_no_conftest, option_names
from mlpstorage_bench.session.stash import COMMAND


def prepare(config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Keep the options for `run`; prevent pytest from parsing others and from loading a conftest.

    A command runs without the project's code and collection. Called before conftests are loaded.
    """
    typed = [str(argument) for argument in config.invocation_params.args]
    if config.getini(ALIASES_INI) and has_reference_name(typed):
        add_reference_names(parser, option_names(parser))
    _refuse_unknown(parser, args, typed)
    config.stash[COMMAND] = parser.parse_known_args(args)
    load_no_conftest(config)
    args[:] = []


def run(config: pytest.Config, known: argparse.Namespace) -> int:
    """Run the requested command on rank 0 only, and return the exit status."""
    launcher = launcher_of(config)
    if launcher is not None and launcher.rank > 0:
        return pytest.ExitCode.OK
    try:
        status = _run(known, results_dir_of(known, os.environ), config.invocation_params.args)
        sys.stdout.flush()
    except MlpsError as error:
        raise pytest.UsageError(str(error)) from error
    except BrokenPipeError:  # the reader of our output, such as `head`, has ended
        _discard_output()
        return 128 + signal.SIGPIPE
    return status


def _discard_output() -> None:
    """Send what is still to be written to standard output nowhere: Python flushes it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _run(known: argparse.Namespace, results_dir: Path, arguments: Sequence[object]) -> int:
    status: int = pytest.ExitCode.OK
    if known.mlps_convert:
        for metadata in convert_file(Path(known.mlps_convert), results_dir, registry.load):
            write_data(f"{metadata}\n")
    elif known.mlps_fio_job:
        make_fio_job = registry.load(registry.DEFAULT).exports["fio_job"]
        write_data(make_fio_job(Path(known.mlps_fio_job)))
    elif known.mlps_doctor:
        status = doctor.run(known)
    elif known.mlps_datasize:
        status = datasize.run(known, arguments)
    elif submission.is_requested(known):
        status = submission.run(known, results_dir)
    elif known.mlps_compare or known.mlps_compare_report:
        status = compare.run(known, results_dir)
    elif known.mlps_validate:
        status = validation.run(known)
    elif gate.is_requested(known):
        status = gate.run(known, results_dir)
    else:
        status = history.run(known, results_dir)
    return status


def _refuse_unknown(parser: pytest.Parser, args: list[str], typed: Sequence[str]) -> None:
    """Refuse unknown `--mlps-` options, and options of the reference that the user typed.

    Others may be a conftest's, which is not loaded here.
    """
    problem = unknown_arguments(parser, typed)
    if problem:
        raise pytest.UsageError(problem)
    _, unknown = parser.parse_known_and_unknown_args(args)
    for argument in unknown:
        if argument.startswith("--mlps-"):
            raise pytest.UsageError(f"unrecognized argument: {argument}")
