"""`--mlps-doctor`: print whether a run works on this machine and can be trusted."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata

import pytest

from mlpstorage_bench.benchmark_type.plan import Plan
from mlpstorage_bench.benchmark_type.sizes import KnownCaseSize, SizeReport
from mlpstorage_bench.doctor.extras import check_extras
from mlpstorage_bench.doctor.finding import FINDING_INDENT, Finding, summary
from mlpstorage_bench.doctor.kernel import check_kernel
from mlpstorage_bench.doctor.launching import Ranks, check_launching
from mlpstorage_bench.doctor.limits import check_limits
from mlpstorage_bench.doctor.storage import check_storage
from mlpstorage_bench.options.settings import RESULTS_DIR_OPTION, Settings, read_settings
from mlpstorage_bench.paths import existing_part, is_directory
from mlpstorage_bench.process.stdout import prose_lines, write_lines
from mlpstorage_bench.session.size_report import size_report
from mlpstorage_bench.session.type_requests import plan_for, type_of_command
from mlpstorage_bench.units import GIB, counted


def run(known: argparse.Namespace) -> int:
    """Print a line for each check; the status is 1 if a run would fail or mislead."""
    settings = read_settings(known, os.environ)
    plan = plan_for(settings, type_of_command(settings))
    findings: list[Finding] = []
    for finding in _checks(settings, plan):
        findings.append(finding)
        write_lines(prose_lines(finding.line, FINDING_INDENT, is_terminal=sys.stdout.isatty()))
    write_lines([summary(findings)])
    has_problem = any(one.status == "problem" for one in findings)
    return pytest.ExitCode.TESTS_FAILED if has_problem else pytest.ExitCode.OK


def _checks(settings: Settings, plan: Plan) -> Iterator[Finding]:
    version = metadata.version("mlpstorage-bench")
    yield Finding("version", "ok", f"{version}, Python {platform.python_version()}")
    yield from check_launching(
        Ranks(
            settings.hosts,
            settings.launch_flags,
            settings.mpi_bin,
            are_wanted=settings.wants_ranks,
        )
    )
    yield from check_limits(max(settings.layout().ranks_by_host))
    yield from check_kernel()
    yield from check_storage(settings.cache_dir)
    yield _space(size_report(settings, plan))
    yield _results(settings)
    yield check_extras()


def _space(report: SizeReport) -> Finding:
    """Return whether the profile fits the storage and memory, as before a run."""
    problems = [f"workload {one.case}: {text}" for one in report.cases for text in one.problems]
    if problems:
        advice = "pytest --mlps-datasize with the same options shows all sizes"
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return Finding("space", "problem", f"{problems[0]}{more}", advice)
    needed = [one.storage_bytes_per_host for one in report.cases if isinstance(one, KnownCaseSize)]
    most = max(needed, default=0) / GIB
    free = report.free_storage_bytes_per_rank
    if free is None:
        return Finding(
            "space", "ok", f"profile {report.profile} writes up to {most:.2f} GiB a host"
        )
    evicts = any(one.evicts for one in report.cases if isinstance(one, KnownCaseSize))
    beyond = ". If more is written, entries are evicted, and hits fall" if evicts else ""
    ranks = max(report.ranks_by_host)
    seen = (
        f"profile {report.profile} keeps up to {most:.2f} GiB a host, for {counted(ranks, 'rank')}"
    )
    return Finding("space", "ok", f"{seen}; {free / GIB:.1f} GiB a rank are free{beyond}")


def _results(settings: Settings) -> Finding:
    path = existing_part(RESULTS_DIR_OPTION, settings.results_dir)
    has_directory = is_directory(RESULTS_DIR_OPTION, path)
    if has_directory and os.access(path, os.W_OK | os.X_OK):
        return Finding("results", "ok", f"{settings.results_dir} can be written")
    reason = "is not writable" if has_directory else "is a file"
    advice = f"Choose another directory with {RESULTS_DIR_OPTION}"
    return Finding("results", "problem", f"{settings.results_dir}: {path} {reason}", advice)
