"""Options of a run: limits, workload, results."""

from __future__ import annotations

from mlpstorage_bench.options.names import GRACE_INI, RESULTS_DIR_VARIABLE, SYSTEM_NAME_VARIABLE
from mlpstorage_bench.options.option import SWITCH, Option, WholeNumber, duration
from mlpstorage_bench.options.progress_mode import checked_mode

RUN_OPTIONS = (
    # limits
    Option(
        "timeout",
        "Time limit in seconds for each test with its setup and teardown, and for each of these "
        "steps: collection, start of the run, end of the session. When it expires, every rank "
        "prints the stacks of its threads, and the session ends with status 86. Default: no limit, "
        "because a workload may take hours.",
        None,
        {"type": duration, "metavar": "SECONDS"},
    ),
    Option(
        "grace",
        "Grace period in seconds: after a rank has failed, for the other ranks to reach the same "
        "point; after the ranks have ended, for the launcher to end. Default: "
        f"{GRACE_INI} of the ini-file (30).",
        None,
        {"type": duration, "metavar": "SECONDS"},
    ),
    Option(
        "progress",
        "How progress is shown while a benchmark runs. live: a region of the terminal, updated "
        "every second. lines: a line every 10 s, or every SECONDS. auto (default): live on a "
        "terminal, else lines. off, and pytest's -q: nothing.",
        None,
        {"type": checked_mode, "metavar": "auto|live|lines[:SECONDS]|off"},
    ),
    # workload
    Option(
        "profile",
        "Workload profile: quick (default; small, for first tests, not comparable to MLPerf), "
        "mlperf (the three sanctioned workloads), or the path of a YAML file. TYPE.NAME is for one "
        "benchmark type, such as checkpointing.quick. Repeatable.",
        None,
        {"action": "append", "metavar": "NAME|FILE"},
    ),
    Option(
        "mode",
        "open (default): all parameters may be changed. closed: MLPerf's sanctioned workload; only "
        "the system under test may vary. whatif: print the plan; run and write nothing.",
        None,
        {"choices": ("open", "closed", "whatif")},
    ),
    Option(
        "set",
        "Override a parameter of the profile: duration=5 for all of its workloads, "
        "workloads.1.duration=5 for one. A benchmark type may come first, and has to where several "
        "types of a session have the parameter: checkpointing.phase=read. Repeatable.",
        None,
        {"action": "append", "metavar": "KEY=VALUE"},
    ),
    Option(
        "cache-dir",
        "Directory for cache files, on the storage to measure. Each rank uses DIR/rank_N, which is "
        "removed at the end. Default: ./mlps-cache.",
        None,
        {"metavar": "DIR"},
    ),
    Option(
        "seed",
        "Seed of the request stream; a rank uses seed + rank. Equal profile, seed and rank give "
        "equal requests. Default: the profile's (42).",
        None,
        {"type": WholeNumber(0, 2**63 - 1), "metavar": "N"},
    ),
    Option(
        "trials",
        "Number of timed repetitions of each test. Default: the profile's (3).",
        None,
        {"type": WholeNumber(1, 1000), "metavar": "N"},
    ),
    Option(
        "datagen",
        "Make the data that the collected tests read, and measure nothing: files that exist are "
        "left. A run of the command datagen stays in the results directory. Of benchmark types "
        "without data, tests are skipped.",
        None,
        SWITCH,
    ),
    # results
    Option(
        "results-dir",
        "Directory of the results and the history. Default: the environment variable "
        f"{RESULTS_DIR_VARIABLE}, else ./mlps-results.",
        None,
        {"metavar": "DIR"},
    ),
    Option(
        "orgname",
        "Name of the organisation in the results directory. Default: local.",
        None,
        {"metavar": "NAME"},
    ),
    Option(
        "systemname",
        "Name of the system under test in the results directory. Default: the environment variable "
        f"{SYSTEM_NAME_VARIABLE}, else the name of rank 0's host.",
        None,
        {"metavar": "NAME"},
    ),
    Option(
        "tag",
        "Tag for finding this run later, such as nightly or before-upgrade. Repeatable.",
        None,
        {"action": "append", "metavar": "NAME"},
    ),
    Option(
        "report",
        "Also write a report of this run, or of the one that --mlps-history=ID names, to FILE: .md "
        "for Markdown or .html. With --mlps-history alone, a report of all runs that its filters "
        "leave; with --mlps-compare, one of these runs. Repeatable.",
        None,
        {"action": "append", "metavar": "FILE"},
    ),
    Option(
        "export",
        "Also write the figures of this run, or of the one that --mlps-history=ID names, to FILE "
        "for other programs. FORMAT: prometheus (for node exporter's textfile collector), "
        "openmetrics (with times), json or csv. Repeatable.",
        None,
        {"action": "append", "metavar": "FORMAT:FILE"},
    ),
)
