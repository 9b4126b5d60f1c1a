"""What can go wrong on one rank or on all, and what a user then sees.

The tests run these, and the table in docs/failures.md is made of them: `python -m
tests.failures.scenarios --update` writes it again.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

PAGE = Path(__file__).parent.parent.parent / "docs/failures.md"
BEGIN, END = "<!-- table: made by tests/failures/scenarios.py -->\n", "<!-- end of table -->\n"

GRACE_S = 1
GRACE_TO_TELL_S = 4
"""Where it is the time for every rank to tell its stacks, on a host with other work to do."""
TIMEOUT_S = 8
STARTUP_S = 6
LIMIT_S = 90
"""Within which every run ends, also where cores are shared. Limits that a scenario is not about are
as long: a run that would only end by one of them has failed."""

SLACK_S = 30
"""What the end of a run may take on a host with other work to do, beside the limits that it waits
for."""

PREAMBLE = """
import ctypes, os, pathlib, resource, signal, threading, time
import pytest

RANK = int(os.environ.get("OMPI_COMM_WORLD_RANK", os.environ.get("PMI_RANK", "-1")))
ACTS = RANK == {rank}


def act():  # writes down when something begins to go wrong
    pathlib.Path("acted").write_text(str(time.monotonic()))
"""
BEFORE = """
def test_before(kvcache):
    kvcache.run(1, duration=0.2)
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
DEADLOCKED = (
    rf"test_deadlock has taken longer than --mlps-timeout {TIMEOUT_S} s\. Rank 0 on HOST",
    rf"test_deadlock has taken longer than --mlps-timeout {TIMEOUT_S} s\. Rank 1 on HOST",
    r"in test_deadlock\n",
)
"""What every rank of a deadlock shows."""
Bound = Literal["at once", "grace", "timeout + grace", "startup limit"]
Outside = Literal[
    "",
    "SIGINT to pytest",
    "SIGTERM to pytest",
    "SIGHUP to pytest",
    "SIGKILL to pytest",
    "SIGINT to the launcher",
    "SIGTERM to the launcher",
    "SIGKILL to the launcher",
]


@dataclass(frozen=True)
class Scenario:
    """One thing that goes wrong."""

    name: str
    what: str
    """For the table; a rank is rank N."""
    shown: tuple[str, ...]
    """What standard output and error hold, as regular expressions; RANK and HOST stand for them."""
    status: tuple[int, ...]
    """Exit statuses that are right; none: any but 0 and 5."""
    bound: Bound
    run_status: tuple[str, ...] = field(kw_only=True)
    """What the metadata says of the run, whose case before is kept; none: no run is opened."""
    test: str = ""
    """The body of the test file."""
    conftest: str = ""
    early: str = ""
    """A plugin that is loaded before MPI begins."""
    outside: Outside = ""
    """What is sent once every rank is in its test."""
    always: frozenset[tuple[str, int]] = frozenset()
    """MPI and rank of the runs that `make test` makes; `make test-failures` makes all."""
    has_rank: bool = True
    """Whether it matters which rank acts."""
    under: Literal["pytest", "a launcher of the user's"] = "pytest"
    """What starts the ranks."""
    needs: Literal["", "small disk", "memory group"] = ""
    """What the test is given of the machine: a directory, which NEEDED stands for."""
    options: tuple[str, ...] = ()
    """More of the command line."""
    only: Literal["", "open mpi 5", "mpich"] = ""
    """The MPI with which alone it is so."""

    @property
    def grace_s(self) -> int:
        """What it is run with."""
        return {"grace": GRACE_S, "timeout + grace": GRACE_TO_TELL_S}.get(self.bound, LIMIT_S)

    @property
    def startup_s(self) -> int:
        """What it is run with."""
        return STARTUP_S if self.bound == "startup limit" else LIMIT_S

    @property
    def ends_within_s(self) -> float:
        """Beside what a busy host needs, from when it goes wrong."""
        return {
            "at once": 0,
            "grace": self.grace_s,
            "timeout + grace": TIMEOUT_S + self.grace_s,
            "startup limit": self.startup_s,
        }[self.bound]

    @property
    def has_parent(self) -> bool:
        """Whether a pytest started the ranks, and is there when they have ended."""
        return self.under == "pytest" and self.outside != "SIGKILL to pytest"

    @property
    def ends_by_itself(self) -> bool:
        """Whether the session comes to its end, which nothing cuts short."""
        return self.has_parent and self.status in ((0,), (1,))

    @property
    def status_text(self) -> str:
        """For the table."""
        return " or ".join(map(str, self.status)) or "the launcher's, never 0 or 5"

    @property
    def run_status_text(self) -> str:
        """For the table."""
        return " or ".join(self.run_status) or "no run"


DIED = r"rank RANK on HOST died before the session's end"
LOST = ("died", "failed")
NO_RUN: tuple[str, ...] = ()


def launcher_ended(name: str, what: str, outside: Outside) -> tuple[Scenario, Scenario]:
    """Return what happens when a user's launcher is told to end, which each does in its way."""
    common = Scenario(
        f"{name} under a launcher",
        f"{what} a launcher of yours, MPICH's",
        (r"run \S+, interrupted: ", r"!! KeyboardInterrupt !!", r"= 1 passed in "),
        (2,),
        "at once",
        LONG,
        outside=outside,
        run_status=("interrupted",),
        only="mpich",
        always=frozenset({("mpich", 0)} if outside == "SIGINT to the launcher" else ()),
        under="a launcher of the user's",
        has_rank=False,
    )
    return common, replace(
        common,
        what=f"{what} a launcher of yours, Open MPI's",
        shown=(),
        status=(1,),
        run_status=("interrupted", "died"),
        only="open mpi 5",
    )


KILLED = """
def test_dies(mpi_comm):
    if ACTS:
        act()
        os.kill(os.getpid(), signal.SIGKILL)
    mpi_comm.barrier()
"""


def killed_by_hand() -> tuple[Scenario, Scenario]:
    """Return what a rank's death leads to under a launcher of the user's."""
    common = Scenario(
        "killed under a launcher",
        "A rank is killed (SIGKILL) under a launcher of yours, MPICH's",
        (DIED,),
        (),
        "at once",
        KILLED,
        run_status=LOST,
        only="mpich",
        under="a launcher of the user's",
    )
    return common, replace(
        common,
        what="A rank is killed (SIGKILL) under a launcher of yours, Open MPI's",
        # over hosts the other rank may find its connection closed before Open MPI sees the death
        shown=(r"process rank RANK with PID \d+ on node \S+ exited|Socket closed",),
        run_status=("interrupted", *LOST),  # it ends the others by SIGTERM
        only="open mpi 5",
    )


SCENARIOS = (
    Scenario(
        "outcomes",
        "A failure in a test, its setup or its teardown, `sys.exit`, or a skip, while others wait "
        "in `mpi_comm`",
        (
            r"rank RANK on HOST: AssertionError: broken",
            r"rank RANK on HOST: OSError: setup broke",
            r"rank RANK on HOST: OSError: teardown broke",
            r"rank RANK on HOST: SystemExit: 3",
            # a skip of rank 0 is shown as pytest does
            r"rank 0 on HOST: SystemExit[\s\S]*: no device\n|: no device \(on rank 1 on HOST\)\n",
            r"= 2 failed, 3 passed, 1 skipped, 2 errors in ",
        ),
        (1,),
        "at once",
        """
        def test_fails(mpi_comm):
            if ACTS:
                act()
            assert not ACTS, "broken"
            mpi_comm.barrier()

        @pytest.fixture
        def breaks(mpi_comm):
            if ACTS:
                raise OSError("setup broke")

        def test_setup(breaks, mpi_comm):
            mpi_comm.barrier()

        @pytest.fixture
        def breaks_later(mpi_comm):
            yield
            if ACTS:
                raise OSError("teardown broke")

        def test_teardown(breaks_later, mpi_comm):
            mpi_comm.barrier()

        def test_exits(mpi_comm):
            if ACTS:
                raise SystemExit(3)
            mpi_comm.barrier()

        def test_skips(mpi_comm):
            if ACTS:
                pytest.skip("no device")
            mpi_comm.barrier()

        def test_goes_on(mpi_comm):
            assert mpi_comm.allreduce(1) == 2
        """,
        run_status=("failed",),
        always=frozenset({("mpich", 0)}),
    ),
    Scenario(
        "memory",
        "A rank has no more memory (`MemoryError`)",
        (r"rank RANK on HOST: MemoryError", r"= 1 failed, 1 passed in "),
        (1,),
        "at once",
        """
        def test_memory(mpi_comm):
            if ACTS:
                act()
                now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
                resource.setrlimit(resource.RLIMIT_AS, (now + 2**28, resource.RLIM_INFINITY))
                try:
                    bytearray(2**30)
                finally:
                    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
            mpi_comm.barrier()
        """,
        run_status=("failed",),
    ),
    Scenario(
        "out of memory",
        "The kernel kills a rank for want of memory (the limit of its control group)",
        (DIED,),
        (),
        "grace",
        """
        def test_memory(mpi_comm):
            hoard = []
            if ACTS:
                act()
                pathlib.Path("NEEDED/cgroup.procs").write_text(str(os.getpid()))
            while ACTS:
                hoard.append(bytearray(b"x" * 2**24))
            mpi_comm.barrier()
        """,
        run_status=LOST,
        needs="memory group",
        always=frozenset({("open mpi 5", 1)}),
    ),
    Scenario(
        "slow",
        "A rank takes longer than the grace, and nothing has failed",
        (r"= 2 passed in ",),
        (0,),
        "at once",
        f"""
        def test_slow(mpi_comm):
            act()
            time.sleep({GRACE_S * 2} * ACTS)
            mpi_comm.barrier()
            time.sleep({GRACE_S * 2} * ACTS)
        """,
        run_status=("passed",),
        options=(f"--mlps-grace={GRACE_S}",),
        always=frozenset({("open mpi 5", 1)}),
    ),
    Scenario(
        "raw barrier",
        "A failure in a test while others wait in MPI itself",
        (r"test_raw failed on rank RANK on HOST.*within 1 s", r"AssertionError: broken"),
        (86,),
        "grace",
        """
        def test_raw(mpi_comm):
            if ACTS:
                act()
            assert not ACTS, "broken"
            mpi_comm.mpi4py.Barrier()
        """,
        run_status=("failed", "died"),
        always=frozenset({("mpich", 1)}),
    ),
    Scenario(
        "collection",
        "A test file cannot be imported on one rank",
        (r"did not collect the same tests", r"rank 1 on HOST:", r"no such library"),
        (4,),
        "at once",
        """
        if ACTS:
            act()
            raise ImportError("no such library")

        def test_something(): pass
        """,
        run_status=NO_RUN,
    ),
    Scenario(
        "conftest",
        "A conftest cannot be imported on one rank",
        (r"no such library",),
        (4,),
        "at once",
        "def test_something(): pass",
        'if ACTS:\n    act()\n    raise ImportError("no such library")',
        run_status=NO_RUN,
        always=frozenset({("mpich", 1)}),
    ),
    Scenario(
        "configure",
        "A hook of a conftest or plugin fails at the start on one rank",
        (r"this host is broken",),
        (),
        "at once",
        "def test_something(): pass",
        """
        def pytest_configure():
            if ACTS:
                act()
                raise RuntimeError("this host is broken")
        """,
        run_status=NO_RUN,
    ),
    Scenario(
        "before mpi",
        "A rank ends before MPI has begun",
        (r"Timeout", r"the ranks did not come together in MPI"),
        (86,),
        "startup limit",
        "def test_something(): pass",
        run_status=NO_RUN,
        early="if ACTS:\n    act()\n    time.sleep(0.2)\n    os._exit(0)",
        always=frozenset({("mpich", 1)}),
    ),
    Scenario(
        "killed",
        "A rank is killed (SIGKILL)",
        (DIED,),
        (),
        "grace",
        KILLED,
        run_status=LOST,
        always=frozenset({("mpich", 1)}),
    ),
    Scenario(
        "segmentation fault",
        "A rank crashes (SIGSEGV)",
        (DIED, r"Fatal Python error: Segmentation fault"),
        (),
        "grace",
        """
        def test_crashes(mpi_comm):
            if ACTS:
                act()
                ctypes.string_at(0)
            mpi_comm.barrier()
        """,
        run_status=LOST,
    ),
    Scenario(
        "os._exit",
        "A rank ends without a word, with status 0",
        (DIED,),
        (),
        "grace",
        """
        def test_leaves(mpi_comm):
            if ACTS:
                act()
                os._exit(0)
            mpi_comm.barrier()
        """,
        run_status=LOST,
        always=frozenset({("mpich", 0)}),
    ),
    Scenario(
        "endless loop",
        "A rank never ends a test, and others wait",
        (
            rf"test_loops has taken longer than --mlps-timeout {TIMEOUT_S} s\.",
            r"Rank RANK on HOST does not wait for the others:",
            r"Rank \d on HOST waits for the others at",
            r"in test_loops\n",
        ),
        (86,),
        "timeout + grace",
        """
        def test_loops(mpi_comm):
            act()
            while ACTS:
                time.sleep(0.01)
        """,
        run_status=("failed", "died"),
        always=frozenset({("open mpi 5", 1)}),
    ),
    Scenario(
        "deadlock",
        "All ranks wait for each other in MPI itself",
        DEADLOCKED,
        (86,),
        "timeout + grace",
        DEADLOCK,
        run_status=("failed", "died"),
        has_rank=False,
    ),
    Scenario(
        "lock kept",
        "A rank waits for ever in C code that keeps Python's lock",
        (
            r"test_lock has taken longer.*Rank \d on HOST waits for the others at",
            rf"Timeout \(0:00:0{TIMEOUT_S}",
            r"in test_lock\n",
            r"nothing was heard of rank RANK on HOST|Rank RANK on HOST does not wait for",
        ),
        (86,),
        "timeout + grace",
        """
        def test_lock(mpi_comm):
            act()
            if ACTS:
                ctypes.PyDLL(None).sleep(1000)
        """,
        run_status=("failed", "died"),
    ),
    Scenario(
        "interrupted",
        "Ctrl-C at the pytest that started the ranks",
        (r"KeyboardInterrupt|no tests ran|interrupted",),
        (2,),
        "at once",
        LONG,
        outside="SIGINT to pytest",
        run_status=("interrupted",),
        has_rank=False,
    ),
    Scenario(
        "terminated",
        "SIGTERM to the pytest that started the ranks",
        (r"KeyboardInterrupt|interrupted",),
        (2,),
        "at once",
        LONG,
        outside="SIGTERM to pytest",
        run_status=("interrupted",),
        always=frozenset({("mpich", 0)}),
        has_rank=False,
    ),
    Scenario(
        "interrupted in mpi",
        "Ctrl-C at the pytest that started the ranks, which wait in MPI itself",
        (r"it was interrupted, and the ranks did not end by themselves",),
        (2,),
        "grace",
        WAITING,
        outside="SIGINT to pytest",
        run_status=("interrupted",),
        always=frozenset({("open mpi 5", 0)}),
        has_rank=False,
    ),
    Scenario(
        "hung up",
        "SIGHUP to the pytest that started the ranks (its terminal or `ssh` is gone)",
        (r"KeyboardInterrupt|interrupted",),
        (2,),
        "at once",
        LONG,
        outside="SIGHUP to pytest",
        run_status=("interrupted",),
        has_rank=False,
    ),
    Scenario(
        "parent killed",
        "The pytest that started the ranks is killed (SIGKILL)",
        (),
        (137,),
        "at once",
        LONG,
        outside="SIGKILL to pytest",
        run_status=("interrupted", *LOST),
        always=frozenset({("mpich", 0)}),
        has_rank=False,
    ),
    Scenario(
        "launcher terminated",
        "SIGTERM to the launcher",
        (r"KeyboardInterrupt|rank 0 did not come to its end|died before the session's end",),
        (),
        "grace",
        LONG,
        outside="SIGTERM to the launcher",
        run_status=("interrupted", *LOST),
        has_rank=False,
    ),
    Scenario(
        "launcher killed",
        "The launcher is killed",
        (r"rank 0 did not come to its end|died before",),
        (),
        "grace",
        LONG,
        outside="SIGKILL to the launcher",
        run_status=("interrupted", *LOST),
        always=frozenset({("open mpi 5", 0)}),
        has_rank=False,
    ),
    Scenario(
        "full disk",
        "The disk of one rank's cache runs full",
        (r"rank RANK on HOST.*No space left on device", r"= 1 failed, 1 passed in "),
        (1,),
        "at once",
        """
        def fill(disk):
            while not list(disk.glob("rank_*/*.kv")):
                time.sleep(0.01)
            act()
            with open(disk / "filler", "wb", buffering=0) as filler:
                while True:
                    try:
                        filler.write(bytes(2**16))
                    except OSError:
                        time.sleep(0.0001)

        def test_full(kvcache):
            if ACTS:
                threading.Thread(target=fill, args=[pathlib.Path("NEEDED")], daemon=True).start()
            kvcache.run(1, duration=20)
        """,
        """
        @pytest.hookimpl(tryfirst=True)
        def pytest_configure(config):
            if ACTS:
                config.option.mlps_cache_dir = "NEEDED"
        """,
        run_status=("failed",),
        needs="small disk",
        always=frozenset({("open mpi 5", 1)}),
    ),
    Scenario(
        "deadlock under a launcher",
        "All ranks wait for each other in MPI itself, under a launcher of yours",
        DEADLOCKED,
        (86,),
        "timeout + grace",
        DEADLOCK,
        run_status=("failed",),
        under="a launcher of the user's",
        has_rank=False,
    ),
    *killed_by_hand(),
    *launcher_ended("interrupted", "Ctrl-C at", "SIGINT to the launcher"),
    *launcher_ended("terminated", "SIGTERM to", "SIGTERM to the launcher"),
)


def table() -> str:
    """Return the table as Markdown."""
    head = "| what happens | ends within | exit status | the run's status |\n|---|---|---|---|\n"
    return head + "".join(
        f"| {one.what} | {one.bound} | {one.status_text} | {one.run_status_text} |\n"
        for one in SCENARIOS
    )


def page_with_table(page: str) -> str:
    """Return the page with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__" and sys.argv[1:] == ["--update"]:
    PAGE.write_text(page_with_table(PAGE.read_text()))
