"""`--mlps-datasize`: print what a profile needs, and leave a run of the command datasize."""

from __future__ import annotations

import argparse
import os
import socket
import time
from collections.abc import Sequence
from datetime import datetime

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.benchmark_type.interface import BenchmarkType
from mlpstorage_bench.benchmark_type.plan import Plan
from mlpstorage_bench.benchmark_type.sizes import SizeReport
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.options.settings import Settings, read_settings
from mlpstorage_bench.paths import slugify
from mlpstorage_bench.process.identity import start_of
from mlpstorage_bench.process.stdout import text_width, write_data, write_lines
from mlpstorage_bench.report.size_table import SIZE_TABLE_WIDTH, size_lines
from mlpstorage_bench.results.convert import write_metadata_alone
from mlpstorage_bench.results.json_files import json_text
from mlpstorage_bench.results.record import RunRecord
from mlpstorage_bench.results.run_directory import (
    begin_run_directory,
    discarded_on_failure,
    finish_run_directory,
)
from mlpstorage_bench.results.tree import RunLocation
from mlpstorage_bench.session.provenance import datasize_facts
from mlpstorage_bench.session.size_report import size_report
from mlpstorage_bench.session.type_requests import plan_for, type_of_command

COMMAND = "datasize"


def run(known: argparse.Namespace, arguments: Sequence[object]) -> int:
    """Print the sizes of the profile; the status is 1 if it does not fit.

    They stay in a run's directory, except in mode whatif. `arguments` are pytest's.
    """
    started_s = time.monotonic()
    settings = read_settings(known, os.environ)
    name = type_of_command(settings)
    plan = plan_for(settings, name)
    report = size_report(settings, plan)
    left = None
    files = registry.load(name)
    if settings.mode != "whatif" and files.has_command_level:
        left = _leave_run(settings, files, plan, report, arguments, started_s)
    if known.mlps_datasize == "json":
        write_data(json_text(report.to_json()))
    else:
        width = max(text_width(), SIZE_TABLE_WIDTH)
        write_lines(size_lines(report, width))
        if left is not None:
            write_lines([f"datasize run: {for_terminal(str(left.directory))}"])
    return pytest.ExitCode.OK if report.fits else pytest.ExitCode.TESTS_FAILED


def _leave_run(
    settings: Settings,
    files: BenchmarkType,
    plan: Plan,
    report: SizeReport,
    arguments: Sequence[object],
    started_s: float,
) -> RunLocation:
    """Write the metadata of this command, and the pointer to the code, into a new directory."""
    systemname = settings.systemname or slugify(socket.gethostname())
    location, started = begin_run_directory(
        settings.results_dir,
        settings.mode,
        settings.orgname,
        systemname,
        files.name,
        plan.model,
        COMMAND,
    )
    with discarded_on_failure(location):
        record = RunRecord(
            **dict(datasize_facts(settings, plan, arguments, systemname, location)),
            status="passed" if report.fits else "failed",
            exit_status=int(not report.fits),
            timestamp=location.timestamp,
            run_datetime=started.isoformat(),
            end_datetime=datetime.now().astimezone().isoformat(),
            runtime_s=time.monotonic() - started_s,
            process_id=os.getpid(),
            process_start=start_of(os.getpid()),
            notes=plan.notes(),
            tests=[],
            recorded={},
            untimed_cases=[],
            datasize=report.to_json(),
        )
        write_metadata_alone(record, location, files)
        return finish_run_directory(location)
