"""Tables of the studies, for the docs: python -m benchmarks.harness.table FILE...

The files are pytest-benchmark's JSON, of one run of the studies or of several. With `--before FILE`
of an earlier checkout, the table of goals also has its figures, and each case that both have
measured is shown before and after.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.harness import two_checkouts
from benchmarks.harness.columns import CALCULATED, TABLES, TABLES_IN_PARTS, Column
from benchmarks.harness.goals import Case, Cases, outcomes
from benchmarks.harness.larger_machine import calculated, title_of

_GOAL_COLUMNS = (
    Column("goal", "goal"),
    Column("limit", "limit"),
    Column("measured", "measured"),
    Column("worst case", "case"),
    Column("", "verdict"),
)
_BEFORE = Column("before", "before")
_UNKNOWN = "-"
_SCALING = "test_scaling"


def main() -> None:
    """Print a table for each study in the files, and one of goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--before", nargs="*", type=Path, default=[])
    arguments = parser.parse_args()
    cases, before = read(arguments.files), read(arguments.before)
    for study, rows in cases.items():
        print("\n".join(study_lines(study, rows)))
    print("\ngoals\n")
    earlier = {one.goal: one.measured for one in outcomes(before, {})}
    goals = [
        {**one._asdict(), "before": earlier[one.goal] or None} for one in outcomes(cases, before)
    ]
    columns = (*_GOAL_COLUMNS[:2], *([_BEFORE] if before else []), *_GOAL_COLUMNS[2:])
    print("\n".join(table(columns, goals)))
    for study in two_checkouts.STUDIES:
        pairs = list(two_checkouts.rows(study, cases, before))
        if pairs:
            print(f"\n{study}: before and after\n")
            print("\n".join(table(two_checkouts.columns(pairs), pairs)))


def read(files: Iterable[Path]) -> Cases:
    """Return the figures of each case, by study."""
    cases: Cases = {}
    for path in files:
        for case in json.loads(path.read_text(encoding="utf-8"))["benchmarks"]:
            study = case["name"].partition("[")[0]
            cases.setdefault(study, []).append(case["extra_info"])
    return cases


def study_lines(study: str, cases: list[Case]) -> list[str]:
    """Return a study's table or tables, and what it could not measure."""
    columns = TABLES.get(study) or tuple(Column(name, name) for name in cases[0])
    parts = {f"{study}: {title}": part for title, part in TABLES_IN_PARTS.get(study, {}).items()}
    lines = []
    for title, part in (parts or {study: columns}).items():
        lines += ["", title, "", *table(part, cases)]
    if study == _SCALING:
        lines += ["", title_of(), "", *table(CALCULATED, list(calculated(cases)))]
    lacking = {case.get("huge_pages_lacking", "") for case in cases} - {""}
    return lines + [f"\nfio had no huge pages: {reason}" for reason in sorted(lacking)]


def table(columns: tuple[Column, ...], cases: Sequence[Case]) -> list[str]:
    """Return the lines of a Markdown table, one row per case."""
    rows = [
        [column.heading for column in columns],
        ["---"] * len(columns),
        *(cells(columns, case) for case in cases),
    ]
    return [f"| {' | '.join(row)} |" for row in rows]


def cells(columns: tuple[Column, ...], case: Case) -> list[str]:
    """Return the texts of a case's row."""
    return [_cell(column, case) for column in columns]


def _cell(column: Column, case: Case) -> str:
    value = case[column.name]
    return _UNKNOWN if value is None else column.form.format(value)


if __name__ == "__main__":
    main()
