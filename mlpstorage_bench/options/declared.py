"""Declarations of all command-line options, with their names in the reference implementation."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from typing import Any

import pytest

from mlpstorage_bench.launch.hosts import MOST_RANKS
from mlpstorage_bench.launch.launchers.launcher import TRANSPORTS
from mlpstorage_bench.options.of_compare import COMPARE_OPTIONS
from mlpstorage_bench.options.of_gate import GATE_OPTIONS
from mlpstorage_bench.options.of_history import HISTORY_OPTIONS
from mlpstorage_bench.options.of_reference import counterparts, may_have_counterpart
from mlpstorage_bench.options.of_submission import SUBMISSION_OPTIONS
from mlpstorage_bench.options.of_validation import VALIDATION_OPTIONS
from mlpstorage_bench.options.option import SWITCH, Option, WholeNumber, duration

GROUP = "mlpstorage"
ALIASES_INI = "mlps_reference_aliases"
GRACE_INI = "mlps_failure_grace"
STARTUP_INI = "mlps_startup_limit"
DEFAULT_GRACE, DEFAULT_STARTUP = "30", "600"
"""Seconds, where the ini-file does not set them."""
MPI_INI = "mlps_mpi"
MPI_MODES = ("auto", "on", "off")

RESULTS_DIR_VARIABLE = "MLPERF_RESULTS_DIR"
SYSTEM_NAME_VARIABLE = "MLPERF_SYSTEMNAME"
SETTING_VARIABLES = (RESULTS_DIR_VARIABLE, SYSTEM_NAME_VARIABLE, "PYTEST_ADDOPTS")
"""Environment variables that change the meaning of a command."""

TAG_OPTION = "--mlps-tag"
HOSTS_ALIAS = "--hosts"
"""The reference's name of --mlps-hosts."""

_RANKS = WholeNumber(1, MOST_RANKS)

OPTIONS = (
    # hosts and launcher
    Option(
        "hosts",
        "Hosts to run on: a comma list of NAME, NAME:SLOTS or NAME[01-04], or @FILE with one of "
        "these per line; host files of Open MPI, MPICH and PBS are read, too. "
        "Repeatable. Without a launcher, ranks are started there; under a launcher, the list must "
        "match the hosts of its ranks.",
        "hosts",
        {"action": "append", "metavar": "HOSTS"},
    ),
    Option(
        "exec-type",
        "mpi (default): start ranks through mpirun if hosts or a number of ranks are given and "
        "this process is not a rank. local: run in this process only.",
        "exec-type",
        {"choices": ("mpi", "local")},
    ),
    Option(
        "num-processes",
        "Total number of ranks; a rank is one MPI process and is one client. Must be a "
        "multiple of the number of hosts. Default: one per host.",
        "num-processes",
        {"type": _RANKS, "metavar": "N"},
    ),
    Option(
        "npernode",
        "Number of ranks on each host.",
        "npernode",
        {"type": _RANKS, "metavar": "N"},
    ),
    Option(
        "mpi-bin",
        "Name or path of the mpirun, mpiexec or srun that starts the ranks. Default: the one in "
        "this Python environment, else the one on PATH.",
        "mpi-bin",
        {"metavar": "PATH"},
    ),
    Option(
        "oversubscribe",
        "Allow more ranks on a host than it has cores or slots.",
        "oversubscribe",
        SWITCH,
    ),
    Option(
        "allow-run-as-root",
        "Allow mpirun to run as root; Open MPI refuses it otherwise.",
        "allow-run-as-root",
        SWITCH,
    ),
    Option(
        "mpi-params",
        "More arguments for mpirun, quoted as in a shell: --mlps-mpi-params='--mca btl tcp,self'. "
        "Repeatable.",
        "mpi-params",
        {"action": "append", "metavar": "ARGS"},
    ),
    Option(
        "mpi-btl",
        "Transport between ranks with Open MPI: auto (default), its own choice; vader, shared "
        "memory on one host; tcp, sockets, which also work in containers.",
        "mpi-btl",
        {"choices": TRANSPORTS},
    ),
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
    # workload
    Option(
        "profile",
        "Workload profile: quick (default; small, for first tests, not comparable to MLPerf), "
        "mlperf (the three sanctioned workloads), or the path of a YAML file.",
        None,
        {"metavar": "NAME|FILE"},
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
        "workloads.1.duration=5 for one. Repeatable.",
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
        "for Markdown or .html. Repeatable.",
        None,
        {"action": "append", "metavar": "FILE"},
    ),
    # commands that print and exit
    Option(
        "history",
        "List the runs in the results directory, newest last, and exit. With =ID (a run's id, "
        "its beginning, or latest): show that run in full, or write its --mlps-report, and exit.",
        None,
        {"nargs": "?", "const": "", "metavar": "ID"},
    ),
    *HISTORY_OPTIONS,
    *COMPARE_OPTIONS,
    *GATE_OPTIONS,
    *VALIDATION_OPTIONS,
    *SUBMISSION_OPTIONS,
    Option(
        "datasize",
        "Print the storage and memory that the profile needs on each rank and host, and whether "
        "this host has them, as a table or (=json) as JSON; leave the answer in the results "
        "directory as a run of the command datasize, except in mode whatif, and exit.",
        None,
        {"nargs": "?", "const": "table", "choices": ("table", "json")},
    ),
    Option(
        "convert",
        "Convert a JSON file that pytest-benchmark wrote in an earlier run to a results tree, and "
        "exit.",
        None,
        {"metavar": "FILE"},
    ),
    Option(
        "fio-job",
        "Print an fio job with the sizes and mix of a recorded trace (--mlps-set trace_out=FILE), "
        "and exit.",
        None,
        {"metavar": "TRACE"},
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option under its own name, and the ini-file settings."""
    group = parser.getgroup(GROUP)
    for option in OPTIONS:
        group.addoption(option.flag, dest=option.dest, help=option.help, **option.keywords)
    parser.addini(
        ALIASES_INI,
        "also accept the names of the reference implementation (--hosts, --exec-type, …)",
        type="bool",
        default=True,
    )
    parser.addini(
        GRACE_INI,
        "seconds that other ranks may take to arrive once a rank has failed; then all are aborted "
        f"({DEFAULT_GRACE})",
        default=None,  # so that one that is set can be told from none
    )
    parser.addini(
        STARTUP_INI,
        "seconds that ranks may take to come together at the start; then they end "
        f"({DEFAULT_STARTUP})",
        default=None,
    )
    parser.addini(
        MPI_INI,
        "auto: ranks that a launcher started become one session where one of our options, settings,"
        " fixtures or markers is used; on: always; off: never",
        default="auto",
    )


def add_reference_names(parser: pytest.Parser, owned: Collection[str] = ()) -> list[str]:
    """Declare the reference's names as aliases; return the names that other plugins own.

    `owned` are names that have an option, where pytest does not refuse a second one by itself. Call
    it after the initial conftests are loaded: the second plugin that registers a name gets the
    error, and this order makes it this plugin.
    """
    group = parser.getgroup(GROUP)
    taken = []
    for option in OPTIONS:
        if option.reference_name is None:
            continue
        flag = f"--{option.reference_name}"
        if flag in owned:
            taken.append(flag)
            continue
        help_text = f"Alias of {option.flag}: its name in the reference implementation."
        try:
            group.addoption(flag, dest=option.dest, help=help_text, **option.keywords)
        except (ValueError, argparse.ArgumentError):
            taken.append(flag)
    return taken


def has_reference_name(arguments: Sequence[str]) -> bool:
    """Whether an argument is the reference's name of one of our options."""
    aliases = {f"--{option.reference_name}" for option in OPTIONS if option.reference_name}
    return not aliases.isdisjoint(argument.partition("=")[0] for argument in arguments)


def unknown_arguments(parser: pytest.Parser, arguments: Sequence[str]) -> str:
    """Return a message on unknown arguments, if one of them has another form here; else ''."""
    if not may_have_counterpart(arguments):
        return ""
    _, unknown = parser.parse_known_and_unknown_args(arguments)
    lines = counterparts(unknown, arguments, [option.flag for option in OPTIONS])
    if not lines:
        return ""
    return "\n  ".join([f"unrecognized arguments: {' '.join(unknown)}. In mlpstorage:", *lines])


_COMMANDS = frozenset(
    {
        *("history", "datasize", "convert", "fio-job"),
        *(
            option.name
            for option in (
                *HISTORY_OPTIONS,
                *COMPARE_OPTIONS,
                *VALIDATION_OPTIONS,
                *SUBMISSION_OPTIONS,
            )
        ),
    }
)
"""Options that print something and exit; so does `--mlps-gate` with a run's id."""


def asks_for_command(options: argparse.Namespace) -> bool:
    """Whether the options ask for something to be printed in place of a session."""
    given = given_options(options)
    return bool(given.get("gate")) or not _COMMANDS.isdisjoint(given)


def given_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that the user set, by name without prefix."""
    return {
        option.name: getattr(options, option.dest)
        for option in OPTIONS
        if getattr(options, option.dest, None) not in (None, False)
    }
