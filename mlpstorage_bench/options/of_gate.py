"""Options of the gate: baseline, rules, and the meaning of each verdict for the exit status."""

from __future__ import annotations

from mlpstorage_bench.options.option import SWITCH, Option, WholeNumber

DEFAULT_LOOKS = 4

GATE_OPTIONS = (
    Option(
        "gate",
        "Compare the run with a baseline and fail if a metric got worse. With =ID (a run's id or "
        "its beginning): compare that earlier run and exit.",
        None,
        {"nargs": "?", "const": "", "metavar": "ID"},
    ),
    Option(
        "baseline",
        "Runs to compare with: last (default) or last:N, the newest N (10) comparable runs; "
        "tag:NAME or branch:NAME, the newest 10 of these; run:ID; or file:PATH, a run's metadata.",
        None,
        {"metavar": "RUNS"},
    ),
    Option(
        "gate-rule",
        "Rule for a metric: 'read_bandwidth: -10%%' flags drops of about 10 %% or more; "
        "'read_p95: +20%%' flags increases; '<= 20 ms' and '>= 3 GiB/s' are limits; 'off' skips "
        "the metric. CASE/METRIC is for one case. Repeatable.",
        None,
        {"action": "append", "metavar": "RULE"},
    ),
    Option(
        "gate-across",
        "Compare also with runs of other workloads and systems. Default: such a case is not "
        "compared, and the exit status is 4.",
        None,
        SWITCH,
    ),
    Option(
        "gate-undecided",
        "Result of an undecided metric: pass (default), with a warning; fail; or retry: run more "
        "trials as long as they may decide it, then pass with a warning.",
        None,
        {"choices": ("pass", "fail", "retry")},
    ),
    Option(
        "gate-looks",
        "Largest number of times that retry judges the trials; each adds the same number of "
        f"trials. Default: {DEFAULT_LOOKS}.",
        None,
        {"type": WholeNumber(1, 100), "metavar": "N"},
    ),
    Option(
        "gate-no-baseline",
        "Result of a case with fewer than 5 baseline runs: collect (default) passes and adds the "
        "run to the baseline; pass is another name for it; error ends with exit status 4.",
        None,
        {"choices": ("collect", "pass", "error")},
    ),
    Option(
        "gate-disturbed",
        "Result of a case that something else than the storage disturbed: pass (default), with a "
        "warning, twice in a row; the third disturbed run in a row ends with exit status 4. error: "
        "each does. ignore: judge it as if nothing had disturbed it.",
        None,
        {"choices": ("pass", "error", "ignore")},
    ),
    Option(
        "gate-selftest",
        "A/A test for false alarms: run twice as many trials and compare one half with the other. "
        "Fails if a metric regressed or improved.",
        None,
        SWITCH,
    ),
    Option(
        "gate-report",
        "Also write the verdicts to FILE: .json or .md. Repeatable.",
        None,
        {"action": "append", "metavar": "FILE"},
    ),
)
