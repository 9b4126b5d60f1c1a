"""Options of the gate: what a run is compared with, and what follows."""

from __future__ import annotations

from mlpstorage_bench.options.option import SWITCH, Option, positive

DEFAULT_LOOKS = 4

GATE_OPTIONS = (
    Option(
        "gate",
        "After the run, compare it with a baseline and fail when it got worse; with =ID (or its "
        "beginning), compare that earlier run, and exit.",
        None,
        {"nargs": "?", "const": "", "metavar": "ID"},
    ),
    Option(
        "baseline",
        "What to compare with: last (default) or last:N, the newest N (10) comparable runs; "
        "tag:NAME or branch:NAME, the newest 10 of these; run:ID; or file:PATH, a run's metadata.",
        None,
        {"metavar": "WHICH"},
    ),
    Option(
        "gate-rule",
        "What is asked of a metric: 'read_bandwidth: -10%%' (less is worse, and 10 %% matters), "
        "'read_p95: +20%%', '<= 20 ms', '>= 3 GiB/s', off; CASE/METRIC for one case. Repeatable.",
        None,
        {"action": "append", "metavar": "RULE"},
    ),
    Option(
        "gate-across",
        "Compare also with runs of other workloads or systems, which is refused otherwise.",
        None,
        SWITCH,
    ),
    Option(
        "gate-undecided",
        "What an undecided metric means: pass (default), with a warning; fail; or retry: run more "
        "trials while they may decide it, and pass with a warning what they do not.",
        None,
        {"choices": ("pass", "fail", "retry")},
    ),
    Option(
        "gate-looks",
        "How often the trials may be looked at with retry, each time with as many more. Default: "
        f"{DEFAULT_LOOKS}",
        None,
        {"type": positive, "metavar": "N"},
    ),
    Option(
        "gate-no-baseline",
        "What it means when a case has fewer than 5 baseline runs so far: collect (default), it "
        "passes and becomes one; pass, the same; or error, exit status 4.",
        None,
        {"choices": ("collect", "pass", "error")},
    ),
    Option(
        "gate-selftest",
        "The A/A control: run every case twice as often, and gate one half of its trials against "
        "the other. Anything but passed or undecided fails.",
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
