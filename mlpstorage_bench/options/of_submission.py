"""Options that make a submission from runs of the history."""

from __future__ import annotations

from mlpstorage_bench.options.option import Option

SUBMISSION_OPTIONS = (
    Option(
        "submission",
        "Make a submission in DIR, which must be new or empty, from the runs that the filters of "
        "the history select, check it as --mlps-validate does, and exit. Exit status 1 until the "
        "systems are described.",
        None,
        {"metavar": "DIR"},
    ),
    Option(
        "submission-run",
        "Hand in this run alone: an id, or its beginning. Repeatable.",
        None,
        {"action": "append", "metavar": "ID"},
    ),
    Option(
        "submission-systems",
        "Take <system>.yaml and <system>.pdf from DIR, where a person has filled in one and added "
        "the other, in place of a draft.",
        None,
        {"metavar": "DIR"},
    ),
)
