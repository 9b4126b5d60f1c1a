"""Sizes of benchmark types whose cases have no row of the table."""

from __future__ import annotations

from mlpstorage_bench.benchmark_type.sizes import CaseSize, SizeReport
from mlpstorage_bench.report.size_table import size_lines


def test_cases_without_sizes_have_a_line_and_no_table() -> None:
    cases = [CaseSize("copy", []), CaseSize("move", ["files of 5 bytes do not fit"])]
    report = SizeReport("quick", 1, "/cache", [1], None, None, [], cases)
    assert size_lines(report, 100) == [
        "case copy: can run",
        "case move: files of 5 bytes do not fit",
    ]
