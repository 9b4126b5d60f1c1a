"""Options of the comparison of runs."""

from __future__ import annotations

from mlpstorage_bench.options.option import Option

COMPARE_OPTIONS = (
    Option(
        "compare",
        "Show runs side by side, first what makes them unlike, and exit. RUN is the id of a run in "
        "the results directory, a run's directory or metadata file, of any program, or a row of a "
        "published table, FILE.csv#SYSTEM. Give it twice or more.",
        None,
        {"action": "append", "metavar": "RUN"},
    ),
    Option(
        "compare-report",
        "Also write the comparison to FILE: .json or .md. Repeatable.",
        None,
        {"action": "append", "metavar": "FILE"},
    ),
)
