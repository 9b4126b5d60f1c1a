"""Options that choose among past runs, and how they are shown."""

from __future__ import annotations

from mlpstorage_bench.history.past_run import STATUSES
from mlpstorage_bench.options.option import A_NAME, SWITCH, Option, positive

HISTORY_OPTIONS = (
    Option(
        "history-last",
        "List only so many runs, the newest of those that the other filters leave.",
        None,
        {"type": positive, "metavar": "N"},
    ),
    Option("history-model", "List only runs of this model; may be a glob.", None, A_NAME),
    Option(
        "history-test",
        "List only runs with this case, or with this test by its node id; may be a glob, like "
        "'*test_option*'.",
        None,
        A_NAME,
    ),
    Option(
        "history-mode",
        "List only runs of this mode.",
        None,
        {"choices": ("open", "closed", "whatif")},
    ),
    Option("history-host", "List only runs that had this host; may be a glob.", None, A_NAME),
    Option(
        "history-since",
        "List only runs since then: a date like 2026-11-24, or an age like 7d or 24h.",
        None,
        {"metavar": "WHEN"},
    ),
    Option(
        "history-status",
        "List only runs that ended so, or are running.",
        None,
        {"choices": STATUSES},
    ),
    Option(
        "history-tag",
        "List only runs with this tag, given by --mlps-tag; may be a glob.",
        None,
        A_NAME,
    ),
    Option(
        "history-format",
        "What --mlps-history prints: a table for people (default), or all of it as json or csv.",
        None,
        {"choices": ("table", "json", "csv")},
    ),
    Option(
        "history-rerun",
        "Run the command of an earlier run again, in its directory: the run with this id, or the "
        "only one that begins so.",
        None,
        {"metavar": "ID"},
    ),
    Option(
        "history-trend",
        "Draw a metric of the runs over time, like read_gib_s or read_p95_ms, for each case, and "
        "exit. Filters apply.",
        None,
        {"metavar": "METRIC"},
    ),
    Option(
        "history-rebuild",
        "Make the index of the history again from the metadata files, and exit.",
        None,
        SWITCH,
    ),
)
