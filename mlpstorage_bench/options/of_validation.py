"""Options of the checks of result trees."""

from __future__ import annotations

from mlpstorage_bench.options.option import Option

VALIDATION_OPTIONS = (
    Option(
        "validate",
        "Check a result tree against the published rules and rules of our own, and exit: one run, "
        "or a whole submission, of any program. Exit status 1 if a rule is violated.",
        None,
        {"metavar": "DIR"},
    ),
    Option(
        "validate-report",
        "Also write all verdicts of --mlps-validate to FILE: .json, .md or .html. Repeatable.",
        None,
        {"action": "append", "metavar": "FILE"},
    ),
)
