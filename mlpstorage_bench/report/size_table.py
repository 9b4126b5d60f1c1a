"""Sizes of a workload as a table: GiB by rank and host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.report.results_table import as_lines
from mlpstorage_bench.units import GIB

LEGEND = (
    "GiB, upper limits for one trial; users that fit: users per rank whose entries all fit "
    "(1000 means 1000 or more)"
)
SIZE_TABLE_WIDTH = 100
"""Least width in columns."""
_WHOLE_FROM_GIB = 100
_COLUMNS = (
    ("largest\nentry", "largest_entry_bytes"),
    ("written\nper rank", "written_bytes_per_rank"),
    ("storage\nper rank", "storage_bytes_per_rank"),
    ("storage\nper host", "storage_bytes_per_host"),
    ("storage\nin all", "storage_bytes"),
    ("memory\nper host", "memory_bytes_per_host"),
)
"""Title, and name of a size that is shown in GiB."""


def size_lines(report: Mapping[str, Any], width: int) -> list[str]:
    """Return the table as lines of this width, then problems and the legend."""
    problems = [
        f"workload {case['case']}: {problem}"
        for case in report["cases"]
        for problem in case["problems"]
    ]
    ranks = sum(report["ranks_by_host"])
    estimates = [
        f"workload {case['case']}: computed for {case['examined_ranks']} of {ranks} ranks; the "
        "others are taken to be as large as the largest of these"
        for case in report["cases"]
        if case.get("examined_ranks", ranks) < ranks
    ]
    return [
        *as_lines(size_table(report), width),
        *map(for_terminal, [*problems, *estimates]),
        *(f"limit: {for_terminal(limit)}" for limit in report["limits"]),
        LEGEND,
    ]


def size_table(report: Mapping[str, Any]) -> Table:
    """Return a table with a line for each case."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("case")
    for title, _ in _COLUMNS:
        table.add_column(title, justify="right")
    table.add_column("users", justify="right")
    table.add_column("users\nthat fit", justify="right")
    table.add_column("fits")
    for case in report["cases"]:
        if "users_per_rank" not in case:
            table.add_row(for_terminal(case["case"]), *["-"] * (len(_COLUMNS) + 2), "not known")
            continue
        table.add_row(
            for_terminal(case["case"]),
            *(_gib(case[name]) for _, name in _COLUMNS),
            str(case["users_per_rank"]),
            "-" if case["users_that_fit"] is None else str(case["users_that_fit"]),
            "no" if case["problems"] else "evicts" if case["evicts"] else "yes",
        )
    return table


def _gib(size: int | None) -> str:
    if size is None:
        return "any"
    gib = size / GIB
    return f"{gib:.2f}" if gib < _WHOLE_FROM_GIB else f"{gib:.0f}"
