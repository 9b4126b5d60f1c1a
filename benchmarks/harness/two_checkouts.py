"""Ratios to fio of two checkouts, case by case."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness.columns import Column
from benchmarks.harness.goals import Case, Cases

_LABELS = (
    Column("", "pattern"),
    Column("block", "block"),
    Column("lanes x chunks", "shape"),
)
_RATIOS = (
    Column("bandwidth", "bandwidth_ratio"),
    Column("huge pages", "huge_bandwidth_ratio"),
    Column("p95", "p95_ratio"),
    Column("huge pages", "huge_p95_ratio"),
    Column("CPU/GiB", "cpu_ratio"),
    Column("huge pages", "huge_cpu_ratio"),
    Column("without content", "bare_cpu_ratio"),
    Column("huge pages", "bare_huge_cpu_ratio"),
)
STUDIES = ("test_parity", "test_checked_parity", "test_tmpfs_parity", "test_option_1")


def columns(rows: list[Case]) -> tuple[Column, ...]:
    """Return the columns that any of the rows has."""
    labels = [one for one in _LABELS if one.name in rows[0]]
    ratios = [one for one in _RATIOS if any(row[one.name] is not None for row in rows)]
    return (*labels, *ratios)


def rows(study: str, cases: Cases, before: Cases) -> Iterator[Case]:
    """Yield the cases that both checkouts have measured, each ratio as `before → after`."""
    earlier = {_label(case): case for case in before.get(study, [])}
    for case in cases.get(study, []):
        other = earlier.get(_label(case))
        if other is not None:
            pairs = {one.name: (other.get(one.name), case.get(one.name)) for one in _RATIOS}
            yield {**case, **{name: _text(*pair) for name, pair in pairs.items()}}


def _label(case: Case) -> tuple[object, ...]:
    return tuple(case.get(one.name) for one in _LABELS)


def _text(before: float | None, after: float | None) -> str | None:
    if before is None or after is None:
        return None
    return f"{before:.2f} → {after:.2f}"
