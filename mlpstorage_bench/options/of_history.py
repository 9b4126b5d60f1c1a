"""Options of the history: the list of earlier runs, its filters and output formats."""

from __future__ import annotations

from mlpstorage_bench.options.option import A_NAME, SWITCH, Option, WholeNumber

STATUSES = ("passed", "failed", "interrupted", "running", "died")
"""How a run of the history stands; as `history.past_run` has them, which is not imported here."""

HISTORY_OPTIONS = (
    Option(
        "history",
        "List the runs in the results directory, newest last, and exit. With =ID (a run's id, "
        "its beginning, or latest): show that run in full, or write its --mlps-report and "
        "--mlps-export, and exit.",
        None,
        {"nargs": "?", "const": "", "metavar": "ID"},
    ),
    Option(
        "history-last",
        "List only the newest N runs that the other filters select.",
        None,
        {"type": WholeNumber(1, 10**9), "metavar": "N"},
    ),
    Option("history-model", "List only runs of this model (name or glob).", None, A_NAME),
    Option(
        "history-test",
        "List only runs with this case or test (case name, node id, or glob like "
        "'*test_workload*').",
        None,
        A_NAME,
    ),
    Option(
        "history-mode",
        "List only runs of this mode.",
        None,
        {"choices": ("open", "closed", "whatif")},
    ),
    Option("history-host", "List only runs on this host (name or glob).", None, A_NAME),
    Option(
        "history-since",
        "List only runs since a time: a date like 2026-11-24, or an age like 7d or 24h.",
        None,
        {"metavar": "WHEN"},
    ),
    Option(
        "history-status",
        "List only runs with this status.",
        None,
        {"choices": STATUSES},
    ),
    Option(
        "history-tag",
        "List only runs with this tag of --mlps-tag (name or glob).",
        None,
        A_NAME,
    ),
    Option(
        "history-format",
        "Format of --mlps-history: table (default), or json or csv with all fields.",
        None,
        {"choices": ("table", "json", "csv")},
    ),
    Option(
        "history-rerun",
        "Run the command of an earlier run again, in its directory. ID may be the beginning of an "
        "id that only one run has.",
        None,
        {"metavar": "ID"},
    ),
    Option(
        "history-rerun-owner",
        "Start a run again although this user wrote its metadata, and so may have chosen the "
        "command; `anyone` for metadata that every user may write.",
        None,
        {"metavar": "USER"},
    ),
    Option(
        "resume",
        "Continue a run that was interrupted, in its directory: repeat its command, and run only "
        "trials that had not finished. ID as for --mlps-history-rerun.",
        None,
        {"metavar": "ID"},
    ),
    Option(
        "history-trend",
        "Plot a metric such as read_gib_s or read_p95_ms over time, one line per case, and exit. "
        "Filters apply.",
        None,
        {"metavar": "METRIC"},
    ),
    Option(
        "history-rm",
        "Remove a run of this package that has ended: move its directory to .mlps/trash/<time>/ "
        "in the results directory. ID may be the beginning of an id that only one run has. "
        "Repeatable.",
        None,
        {"action": "append", "metavar": "ID"},
    ),
    Option(
        "dry-run",
        "With --mlps-history-rm: check and print what would be moved, and move nothing.",
        None,
        SWITCH,
    ),
    Option(
        "yes",
        "With --mlps-history-rm: also move runs that the reference has made.",
        None,
        SWITCH,
    ),
    Option(
        "history-rebuild",
        "Rebuild the index of the history from the metadata files, and exit.",
        None,
        SWITCH,
    ),
)
