"""Options of hosts, ranks and the launcher that starts them."""

from __future__ import annotations

from mlpstorage_bench.launch.hosts import MOST_RANKS
from mlpstorage_bench.launch.launchers.launcher import TRANSPORTS
from mlpstorage_bench.options.option import SWITCH, Option, WholeNumber

_RANKS = WholeNumber(1, MOST_RANKS)

LAUNCH_OPTIONS = (
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
)
