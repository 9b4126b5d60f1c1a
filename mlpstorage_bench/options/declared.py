"""Every command-line option, declared once to pytest, under our name and the reference's."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from mlpstorage_bench.launch.launchers.launcher import TRANSPORTS
from mlpstorage_bench.options.of_gate import GATE_OPTIONS
from mlpstorage_bench.options.of_history import HISTORY_OPTIONS
from mlpstorage_bench.options.option import SWITCH, Option, duration, positive, seed

GROUP = "mlpstorage"
ALIASES_INI = "mlps_reference_aliases"
GRACE_INI = "mlps_failure_grace"
STARTUP_INI = "mlps_startup_limit"

RESULTS_DIR_VARIABLE = "MLPERF_RESULTS_DIR"
SYSTEM_NAME_VARIABLE = "MLPERF_SYSTEMNAME"
SETTING_VARIABLES = (RESULTS_DIR_VARIABLE, SYSTEM_NAME_VARIABLE, "PYTEST_ADDOPTS")
"""Variables by which a command means something else."""

TAG_OPTION = "--mlps-tag"

OPTIONS = (
    # where
    Option(
        "hosts",
        "Hosts to run on: NAME or NAME:SLOTS, as a comma list, or @FILE with one of these a line. "
        "Repeatable. Outside a launcher this starts the ranks there; under one it is checked "
        "against the hosts that the ranks really are on.",
        "hosts",
        {"action": "append", "metavar": "HOSTS"},
    ),
    Option(
        "exec-type",
        "mpi (default): start ranks through mpirun when hosts or a number of ranks are given and "
        "this process is not yet a rank. local: always run here, as one process.",
        "exec-type",
        {"choices": ("mpi", "local")},
    ),
    Option(
        "num-processes",
        "Number of ranks in all; a rank is one MPI process and stands for one client. Must divide "
        "evenly over the hosts. Default: one per host.",
        "num-processes",
        {"type": positive, "metavar": "N"},
    ),
    Option(
        "npernode",
        "Number of ranks on each host.",
        "npernode",
        {"type": positive, "metavar": "N"},
    ),
    Option(
        "mpi-bin",
        "The mpirun, mpiexec or srun to start ranks with, by name or path. Default: the one of "
        "this Python environment, else the one on PATH.",
        "mpi-bin",
        {"metavar": "PATH"},
    ),
    Option(
        "oversubscribe",
        "Let mpirun start more ranks on a host than it has cores or slots.",
        "oversubscribe",
        SWITCH,
    ),
    Option(
        "allow-run-as-root",
        "Let mpirun run as root, which Open MPI refuses otherwise.",
        "allow-run-as-root",
        SWITCH,
    ),
    Option(
        "mpi-params",
        "Further arguments for mpirun, quoted as in a shell: --mlps-mpi-params='--mca btl tcp,self'"
        ". Repeatable.",
        "mpi-params",
        {"action": "append", "metavar": "ARGS"},
    ),
    Option(
        "mpi-btl",
        "How ranks talk, with Open MPI: auto (default) leaves it the choice; vader is shared memory"
        ", on one host; tcp is sockets, which works in containers too.",
        "mpi-btl",
        {"choices": TRANSPORTS},
    ),
    # when something goes wrong
    Option(
        "timeout",
        "Seconds that a test may take, with its setup and teardown; and so may collection, the "
        "opening of the run, and the session's end. After that every rank prints the stacks of its "
        "threads, and the session ends with status 86. Default: no limit, as a test's workload may "
        "take hours.",
        None,
        {"type": duration, "metavar": "SECONDS"},
    ),
    Option(
        "grace",
        "Seconds that other ranks may take to arrive once a rank has failed, and a launcher to end "
        f"once its ranks have. Default: {GRACE_INI} of the ini-file (30).",
        None,
        {"type": duration, "metavar": "SECONDS"},
    ),
    # what
    Option(
        "profile",
        "The workload: quick (default; a small one to try things out, not comparable to MLPerf), "
        "mlperf (the three sanctioned options), or the path of your own YAML file.",
        None,
        {"metavar": "NAME|FILE"},
    ),
    Option(
        "mode",
        "open (default): everything may be set. closed: MLPerf's sanctioned workload, in which "
        "only the system under test may vary. whatif: print what would run, and touch nothing.",
        None,
        {"choices": ("open", "closed", "whatif")},
    ),
    Option(
        "set",
        "Change a parameter of the profile: duration=5 for every option of it, "
        "options.1.duration=5 for one. Repeatable.",
        None,
        {"action": "append", "metavar": "KEY=VALUE"},
    ),
    Option(
        "cache-dir",
        "Where cache files are written and read: a directory on the storage to be measured. Each "
        "rank uses DIR/rank_N, which is removed at the end. Default: ./mlps-cache",
        None,
        {"metavar": "DIR"},
    ),
    Option(
        "seed",
        "Seed of the request stream; a rank uses seed + rank. The same profile, seed and rank give "
        "the same requests. Default: the profile's (42).",
        None,
        {"type": seed, "metavar": "N"},
    ),
    Option(
        "trials",
        "Number of timed repetitions of each test. Default: the profile's (3).",
        None,
        {"type": positive, "metavar": "N"},
    ),
    # results
    Option(
        "results-dir",
        "Where runs are kept, and looked for by --mlps-history. Default: the environment's "
        f"{RESULTS_DIR_VARIABLE}, else ./mlps-results",
        None,
        {"metavar": "DIR"},
    ),
    Option(
        "orgname",
        "Organisation under which runs are filed. Default: local",
        None,
        {"metavar": "NAME"},
    ),
    Option(
        "systemname",
        "System under test under which runs are filed. Default: the environment's "
        f"{SYSTEM_NAME_VARIABLE}, else the name of rank 0's host.",
        None,
        {"metavar": "NAME"},
    ),
    Option(
        "tag",
        "A name by which this run can be found later, like nightly or before-upgrade. Repeatable.",
        None,
        {"action": "append", "metavar": "NAME"},
    ),
    Option(
        "report",
        "Also write a report of this run to FILE: .md for Markdown, .html for a page. Repeatable.",
        None,
        {"action": "append", "metavar": "FILE"},
    ),
    # instead of running
    Option(
        "history",
        "List the runs in the results directory, newest last, and exit; with =ID (or its "
        "beginning), show one run in full.",
        None,
        {"nargs": "?", "const": "", "metavar": "ID"},
    ),
    *HISTORY_OPTIONS,
    *GATE_OPTIONS,
    Option(
        "datasize",
        "Tell how much storage and memory the profile takes on each rank and host, and whether it "
        "fits here, as a table or (=json) as JSON, and exit.",
        None,
        {"nargs": "?", "const": "table", "choices": ("table", "json")},
    ),
    Option(
        "convert",
        "Convert the JSON that pytest-benchmark wrote in an earlier run to the results tree, and "
        "exit.",
        None,
        {"metavar": "FILE"},
    ),
    Option(
        "fio-job",
        "Print an fio job distilled from a trace of operations (as of --mlps-set trace_out=FILE), "
        "and exit.",
        None,
        {"metavar": "TRACE"},
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option under its own name, and the ini settings."""
    group = parser.getgroup(GROUP)
    for option in OPTIONS:
        group.addoption(option.flag, dest=option.dest, help=option.help, **option.keywords)
    parser.addini(
        ALIASES_INI,
        "let options also answer to the reference's names (--hosts, --exec-type, …)",
        type="bool",
        default=True,
    )
    parser.addini(
        GRACE_INI,
        "seconds that other ranks may take to arrive once a rank has failed; then all are aborted",
        default="30",
    )
    parser.addini(
        STARTUP_INI,
        "seconds that ranks may take to come together at the start; then they end",
        default="600",
    )


def add_reference_names(parser: pytest.Parser) -> list[str]:
    """Let options answer to the reference's names too; return those that others own.

    To be called after the initial conftests are loaded: a second registration of a name raises in
    whichever plugin comes second, and this way that is always us.
    """
    group, owned = parser.getgroup(GROUP), _owned_names(parser)
    taken = []
    for option in OPTIONS:
        if option.reference_name is None:
            continue
        flag = f"--{option.reference_name}"
        if flag in owned:
            taken.append(flag)
            continue
        told = f"The reference's name of {option.flag}."
        try:
            group.addoption(flag, dest=option.dest, help=told, **option.keywords)
        except (ValueError, argparse.ArgumentError):
            taken.append(flag)
    return taken


def _owned_names(parser: pytest.Parser) -> set[str]:
    """Return the names that have an option; none from pytest 9.1, which refuses a second by itself.

    Before that, a registration that is refused changes what `config.getoption(name)` returns, and
    up to 8.4 argparse refuses it only when it parses the command line.
    """
    if pytest.version_tuple >= (9, 1):
        return set()
    groups = [*parser._groups, parser._anonymous]  # noqa: SLF001 - of past versions, which stay
    return {name for group in groups for option in group.options for name in option.names()}


def given_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that the user gave, by name without prefix."""
    return {
        option.name: getattr(options, option.dest)
        for option in OPTIONS
        if getattr(options, option.dest, None) not in (None, False)
    }
