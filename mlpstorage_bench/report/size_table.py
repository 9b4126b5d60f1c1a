"""Sizes of a workload as a table: GiB by rank and host."""

from __future__ import annotations

from collections.abc import Callable

from rich import box
from rich.table import Table

from mlpstorage_bench.benchmark_type.sizes import KnownCaseSize, SizeReport
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.report.case_table import case_name
from mlpstorage_bench.report.results_table import as_lines
from mlpstorage_bench.units import GIB

LEGEND = (
    "GiB, upper limits for one trial; to keep all: storage_capacity_gb with which a rank evicts "
    "nothing; users that fit: users per rank whose entries all fit (1000 means 1000 or more)"
)
SIZE_TABLE_WIDTH = 100
"""Least width in columns."""
_WHOLE_FROM_GIB = 100


_COLUMNS: tuple[tuple[str, Callable[[KnownCaseSize], int | None]], ...] = (
    ("largest\nentry", lambda case: case.largest_entry_bytes),
    ("written\nper rank", lambda case: case.written_bytes_per_rank),
    ("to keep\nall", lambda case: case.keeps_all_bytes_per_rank),
    ("storage\nper rank", lambda case: case.storage_bytes_per_rank),
    ("storage\nper host", lambda case: case.storage_bytes_per_host),
    ("storage\nin all", lambda case: case.storage_bytes),
    ("memory\nper host", lambda case: case.memory_bytes_per_host),
)
"""Title, and a size that is shown in GiB."""


def size_lines(report: SizeReport, width: int) -> list[str]:
    """Return the table as lines of this width, then problems and the legend."""
    problems = [
        f"{case.case if case.lines else case_name(case.case)}: {problem}"
        for case in report.cases
        for problem in case.problems
    ]
    ranks = sum(report.ranks_by_host)
    estimates = [
        f"workload {case.case}: computed for {case.examined_ranks} of {ranks} ranks; the others "
        "are taken to be as large as the largest of these"
        for case in report.cases
        if isinstance(case, KnownCaseSize) and case.examined_ranks < ranks
    ]
    limits = [f"limit: {for_terminal(limit)}" for limit in report.limits]
    if not any(isinstance(case, KnownCaseSize) for case in report.cases):
        lines = [line for case in report.cases for line in case.lines] or [
            f"{case_name(case.case)}: can run" for case in report.cases if not case.problems
        ]
        return [*map(for_terminal, [*lines, *problems]), *limits]
    return [
        *as_lines(size_table(report), width),
        *map(for_terminal, [*problems, *estimates]),
        *limits,
        LEGEND,
    ]


def size_table(report: SizeReport) -> Table:
    """Return a table with a line for each case."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("case")
    for title, _ in _COLUMNS:
        table.add_column(title, justify="right")
    table.add_column("users", justify="right")
    table.add_column("users\nthat fit", justify="right")
    table.add_column("fits")
    for case in report.cases:
        if not isinstance(case, KnownCaseSize):
            table.add_row(for_terminal(case.case), *["-"] * (len(_COLUMNS) + 2), "not known")
            continue
        table.add_row(
            for_terminal(case.case),
            *(_gib(size(case)) for _, size in _COLUMNS),
            str(case.users_per_rank),
            "-" if case.users_that_fit is None else str(case.users_that_fit),
            "no" if case.problems else "evicts" if case.evicts else "yes",
        )
    return table


def _gib(size: int | None) -> str:
    if size is None:
        return "any"
    gib = size / GIB
    return f"{gib:.2f}" if gib < _WHOLE_FROM_GIB else f"{gib:.0f}"
