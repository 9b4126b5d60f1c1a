"""Format of a failure scenario, and parts that scenarios share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

GRACE_S = 1
GRACE_FOR_STACKS_S = 4
"""Grace in scenarios in which every rank prints its stacks within it, on a busy host."""
TIMEOUT_S = 8
STARTUP_S = 6
LIMIT_S = 90
"""Longest duration of a run, also where cores are shared. Limits that a scenario is not about are
as long: a run that only ends by one of them fails the test."""

SLACK_S = 30
"""Additional time for the end of a run on a busy host, beside the limits that it waits for."""

PREAMBLE = """
import ctypes, os, pathlib, resource, shutil, signal, threading, time
import pytest

RANK = int(os.environ.get("OMPI_COMM_WORLD_RANK", os.environ.get("PMI_RANK", "-1")))
ACTS = RANK == {rank}


def act():  # records when the failure begins
    pathlib.Path("acted").write_text(str(time.monotonic()))
"""
BEFORE = """
def test_before(kvcache):
    kvcache.run(1, duration=60, requests=20)
"""
LONG = """
def test_long(mpi_comm):
    pathlib.Path(f"ready-{RANK}").write_text(os.environ.get("MLPS_LAUNCH_DIRECTORY", ""))
    time.sleep(600)
"""
WAITING = LONG.replace("time.sleep(600)", "mpi_comm.mpi4py.recv(source=1 - RANK)")
DEADLOCK = """
def test_deadlock(mpi_comm):
    act()
    mpi_comm.mpi4py.recv(source=1 - RANK)
"""
FAILURE_ALONE_IS_LIMITED = """
from contextlib import nullcontext
from mlpstorage_bench.session.timeout import TimeLimit

guard_test = TimeLimit.guard_test


def guard_failure(self, step):
    is_earlier = "::" not in step or step.endswith("::test_before")
    return nullcontext() if is_earlier else guard_test(self, step)


TimeLimit.guard_test = guard_failure
"""
"""Part of a conftest: --mlps-timeout does not limit what comes before the failure, which may take
long on a busy host."""
DEADLOCKED = (
    rf"test_deadlock has taken longer than --mlps-timeout {TIMEOUT_S} s\. Rank 0 on HOST",
    rf"test_deadlock has taken longer than --mlps-timeout {TIMEOUT_S} s\. Rank 1 on HOST",
    r"in test_deadlock\n",
)
"""Output of a deadlock: stacks of every rank."""
HELPER_LIMIT_S = 10
"""Time for a helper process to end, after which it is killed."""
Bound = Literal["at once", "10 s", "grace", "timeout + grace", "startup limit"]
Outside = Literal[
    "",
    "SIGINT to pytest",
    "SIGTERM to pytest",
    "SIGHUP to pytest",
    "SIGKILL to pytest",
    "SIGKILL to pytest and its helper process",
    "SIGINT to the launcher",
    "SIGTERM to the launcher",
    "SIGKILL to the launcher",
]


RunStatus = Literal["passed", "failed", "interrupted", "died"]
Starter = Literal["pytest", "a launcher of the user's", "either"]


@dataclass(frozen=True)
class Unspecified:
    """A status that is not promised."""

    why: str
    """Reason, for the table."""
    never: frozenset[int] = frozenset({0, 5})
    """Exit statuses that would look like success."""

    def __str__(self) -> str:
        return f"unspecified: {self.why}"


NO_RUN = None


@dataclass(frozen=True)
class Scenario:
    """A failure of one rank, of all ranks or of what starts them, and its contract."""

    name: str
    what: str
    """Description for the table; the rank that acts is "a rank"."""
    shown: tuple[str, ...]
    """Regular expressions that standard output and error match; RANK and HOST are replaced."""
    status: int | Unspecified
    """Exit status of what the user started: pytest, or a launcher."""
    bound: Bound
    run_status: RunStatus | Unspecified | None = field(kw_only=True)
    """Status in the metadata of the run, which has a case of an earlier test; None for no run."""
    test: str = ""
    """Body of the test file."""
    conftest: str = ""
    early: str = ""
    """Body of a plugin that is loaded before MPI starts."""
    outside: Outside = ""
    """Signal that is sent once every rank is in its test."""
    always: frozenset[tuple[str, int]] = frozenset()
    """MPI and acting rank of the runs of `make test`; `make test-failures` makes the others."""
    has_rank: bool = True
    """Whether the scenario is run with each rank as the acting one."""
    under: Starter = "pytest"
    """Starter of the ranks."""
    by_hand: Unspecified | None = None
    """Replaces `status` where a launcher of the user's starts the ranks."""
    needs: Literal["", "small disk", "memory group"] = ""
    """Resource of the machine that the test is given; NEEDED stands for its directory."""
    options: tuple[str, ...] = ()
    """Further command line options."""
    only: Literal["", "open mpi 5", "mpich", "mpirun", "srun"] = ""
    """The only MPI or launcher that the scenario applies to."""

    def applies_to(self, mpi: str) -> bool:
        """Return whether the scenario is one of an MPI, or of an MPI whose ranks srun starts."""
        launcher = "srun" if mpi.endswith("srun") else "mpirun"
        return self.only in ("", mpi, launcher)

    @property
    def grace_s(self) -> int:
        """Value of --mlps-grace."""
        return {"grace": GRACE_S, "timeout + grace": GRACE_FOR_STACKS_S}.get(self.bound, LIMIT_S)

    @property
    def startup_s(self) -> int:
        """Value of the ini option mlps_startup_limit."""
        return STARTUP_S if self.bound == "startup limit" else LIMIT_S

    @property
    def ends_within_s(self) -> float:
        """Longest time from the failure to the end, without the slack for a busy host."""
        return {
            "at once": 0,
            "10 s": HELPER_LIMIT_S,
            "grace": self.grace_s,
            "timeout + grace": TIMEOUT_S + self.grace_s,
            "startup limit": self.startup_s,
        }[self.bound]

    @property
    def has_parent(self) -> bool:
        """Whether a pytest process started the ranks and still runs when they have ended."""
        return self.under == "pytest" and not self.outside.startswith("SIGKILL to pytest")

    @property
    def ends_by_itself(self) -> bool:
        """Whether the session completes."""
        return self.has_parent and self.status in (0, 1)

    @property
    def status_text(self) -> str:
        """Exit status for the table."""
        return str(self.status) if self.by_hand is None else f"{self.status}; {self.by_hand}"

    @property
    def run_status_text(self) -> str:
        """Run status for the table."""
        return str(self.run_status or "no run")
