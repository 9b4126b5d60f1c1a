"""Failure scenarios and their contracts, the first table of docs/failures.md (see page.py)."""

from __future__ import annotations

from dataclasses import replace

from tests.failures.scenario import (
    DEADLOCK,
    DEADLOCKED,
    GRACE_S,
    LONG,
    NO_RUN,
    TIMEOUT_S,
    WAITING,
    Outside,
    Scenario,
    Unspecified,
)

KILLED_WHILE_FINISHING = Unspecified(
    "Open MPI kills the ranks a third of a second after SIGTERM, whether rank 0 has written its "
    "results or not"
)

DIED = r"rank RANK on HOST died before the session's end"


def launcher_ended(name: str, what: str, outside: Outside) -> tuple[Scenario, Scenario]:
    """Return the scenarios of a stop signal to a launcher of the user's, one for each MPI."""
    common = Scenario(
        f"{name} under a launcher",
        f"{what} a launcher of yours, MPICH's",
        (r"run \S+, interrupted: ", r"!! KeyboardInterrupt !!", r"= 1 passed in "),
        2,
        "at once",
        LONG,
        outside=outside,
        run_status="interrupted",
        only="mpich",
        always=frozenset({("mpich", 0)} if outside == "SIGINT to the launcher" else ()),
        under="a launcher of the user's",
        has_rank=False,
    )
    return common, replace(
        common,
        what=f"{what} a launcher of yours, Open MPI's",
        shown=(),
        status=1,
        run_status=KILLED_WHILE_FINISHING,
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
    """Return the scenarios of a killed rank under a launcher of the user's, one for each MPI."""
    common = Scenario(
        "killed under a launcher",
        "A rank is killed (SIGKILL) under a launcher of yours, MPICH's",
        (DIED,),
        86,
        "at once",
        KILLED,
        run_status="died",
        only="mpich",
        under="a launcher of the user's",
    )
    return common, replace(
        common,
        what="A rank is killed (SIGKILL) under a launcher of yours, Open MPI's",
        # over hosts the other rank may find its connection closed before Open MPI sees the death
        shown=(r"process rank RANK with PID \d+ on node \S+ exited|Socket closed",),
        status=Unspecified("the launcher's own status"),
        run_status=KILLED_WHILE_FINISHING,
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
        1,
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
        run_status="failed",
    ),
    Scenario(
        "memory",
        "A rank has no more memory (`MemoryError`)",
        (r"rank RANK on HOST: MemoryError", r"= 1 failed, 1 passed in "),
        1,
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
        run_status="failed",
    ),
    Scenario(
        "out of memory",
        "The kernel kills a rank that exceeds the memory limit of its control group",
        (DIED,),
        86,
        "grace",
        """
        def test_memory(mpi_comm):
            taken = []
            if ACTS:
                act()
                pathlib.Path("NEEDED/cgroup.procs").write_text(str(os.getpid()))
            while ACTS:
                taken.append(bytearray(b"x" * 2**24))
            mpi_comm.barrier()
        """,
        run_status="died",
        needs="memory group",
        always=frozenset({("open mpi 5", 1)}),
    ),
    Scenario(
        "slow",
        "A rank takes longer than the grace, and nothing has failed",
        (r"= 2 passed in ",),
        0,
        "at once",
        f"""
        def test_slow(mpi_comm):
            act()
            time.sleep({GRACE_S * 2} * ACTS)
            mpi_comm.barrier()
            time.sleep({GRACE_S * 2} * ACTS)
        """,
        run_status="passed",
        options=(f"--mlps-grace={GRACE_S}",),
    ),
    Scenario(
        "raw barrier",
        "A failure in a test while others wait in MPI itself",
        (r"test_raw failed on rank RANK on HOST.*within 1 s", r"AssertionError: broken"),
        86,
        "grace",
        """
        def test_raw(mpi_comm):
            if ACTS:
                act()
            assert not ACTS, "broken"
            mpi_comm.mpi4py.Barrier()
        """,
        run_status="failed",
    ),
    Scenario(
        "collection",
        "A test file cannot be imported on one rank",
        (r"did not collect the same tests", r"rank 1 on HOST:", r"no such library"),
        4,
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
        4,
        "at once",
        "def test_something(): pass",
        'if ACTS:\n    act()\n    raise ImportError("no such library")',
        run_status=NO_RUN,
        always=frozenset({("mpich", 1)}),
    ),
    Scenario(
        "before mpi",
        "A rank ends before MPI has begun",
        (r"Timeout", r"the ranks did not connect through MPI"),
        86,
        "startup limit",
        "def test_something(): pass",
        run_status=NO_RUN,
        early="if ACTS:\n    act()\n    time.sleep(0.2)\n    os._exit(0)",
    ),
    Scenario(
        "killed",
        "A rank is killed (SIGKILL)",
        (DIED,),
        86,
        "grace",
        KILLED,
        run_status="died",
        always=frozenset({("mpich", 1)}),
    ),
    Scenario(
        "segmentation fault",
        "A rank crashes (SIGSEGV)",
        (DIED, r"Fatal Python error: Segmentation fault"),
        86,
        "grace",
        """
        def test_crashes(mpi_comm):
            if ACTS:
                act()
                ctypes.string_at(0)
            mpi_comm.barrier()
        """,
        run_status="died",
    ),
    Scenario(
        "os._exit",
        "A rank calls `os._exit(0)`",
        (DIED,),
        86,
        "grace",
        """
        def test_leaves(mpi_comm):
            if ACTS:
                act()
                os._exit(0)
            mpi_comm.barrier()
        """,
        run_status="died",
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
        86,
        "timeout + grace",
        """
        def test_loops(mpi_comm):
            act()
            while ACTS:
                time.sleep(0.01)
        """,
        run_status="failed",
    ),
    Scenario(
        "deadlock",
        "All ranks wait for each other in MPI itself",
        DEADLOCKED,
        86,
        "timeout + grace",
        DEADLOCK,
        run_status="failed",
        has_rank=False,
    ),
    Scenario(
        "lock kept",
        "A rank never returns from C code that holds Python's lock",
        (
            r"test_lock has taken longer.*Rank \d on HOST waits for the others at",
            rf"Timeout \(0:00:0{TIMEOUT_S}",
            r"in test_lock\n",
            r"no status from rank RANK on HOST|Rank RANK on HOST does not wait for",
        ),
        86,
        "timeout + grace",
        """
        def test_lock(mpi_comm):
            act()
            if ACTS:
                ctypes.PyDLL(None).sleep(1000)
        """,
        run_status="failed",
    ),
    Scenario(
        "interrupted",
        "Ctrl-C at the pytest that started the ranks",
        (r"KeyboardInterrupt",),
        2,
        "at once",
        LONG,
        outside="SIGINT to pytest",
        run_status="interrupted",
        has_rank=False,
    ),
    Scenario(
        "terminated",
        "SIGTERM to the pytest that started the ranks",
        (r"KeyboardInterrupt",),
        2,
        "at once",
        LONG,
        outside="SIGTERM to pytest",
        run_status="interrupted",
        has_rank=False,
    ),
    Scenario(
        "interrupted in mpi",
        "Ctrl-C at the pytest that started the ranks, which wait in MPI itself",
        (r"it was interrupted, and the ranks did not end within the grace",),
        2,
        "grace",
        WAITING,
        outside="SIGINT to pytest",
        run_status="interrupted",
        always=frozenset({("open mpi 5", 0)}),
        has_rank=False,
    ),
    Scenario(
        "hung up",
        "SIGHUP to the pytest that started the ranks (its terminal or `ssh` connection closed)",
        (r"KeyboardInterrupt",),
        2,
        "at once",
        LONG,
        outside="SIGHUP to pytest",
        run_status="interrupted",
        has_rank=False,
    ),
    Scenario(
        "parent killed",
        "The pytest that started the ranks is killed (SIGKILL)",
        (),
        137,
        "at once",
        LONG,
        outside="SIGKILL to pytest",
        run_status="interrupted",
        always=frozenset({("mpich", 0)}),
        has_rank=False,
    ),
    Scenario(
        "parent and helper killed",
        "The pytest that started the ranks and its helper process are killed (SIGKILL)",
        (),
        137,
        "at once",
        LONG,
        outside="SIGKILL to pytest and its helper process",
        run_status="interrupted",
        has_rank=False,
    ),
    Scenario(
        "helper stopped",
        "The helper process of a rank is stopped (SIGSTOP)",
        (r"helper process \d+ did not end within 10 s, and was killed",),
        0,
        "10 s",
        """
        def test_stops_its_helper(kvcache, mpi_comm):
            if ACTS:
                import psutil
                act()
                for helper in psutil.Process().children():  # two where the parent is elsewhere
                    helper.suspend()
            mpi_comm.barrier()
        """,
        run_status="passed",
    ),
    Scenario(
        "launcher terminated",
        "SIGTERM to the launcher, if it is an `mpirun`",
        (r"KeyboardInterrupt|the ranks received a stop signal",),
        2,
        "grace",
        LONG,
        outside="SIGTERM to the launcher",
        run_status="interrupted",
        only="mpirun",
        has_rank=False,
    ),
    Scenario(
        "srun terminated",
        "SIGTERM to `srun`, which kills all ranks (SIGKILL) at once",
        (r"rank \d on HOST died before the session's end",),
        86,
        "grace",
        LONG,
        outside="SIGTERM to the launcher",
        run_status="died",
        only="srun",
        has_rank=False,
    ),
    Scenario(
        "launcher killed",
        "The launcher is killed",
        (r"the launcher was killed \(SIGKILL\)",),
        86,
        "grace",
        LONG,
        outside="SIGKILL to the launcher",
        run_status="died",
        always=frozenset({("open mpi 5", 0)}),
        has_rank=False,
    ),
    Scenario(
        "full disk",
        "The disk of one rank's cache runs full",
        (r"rank RANK on HOST.*No space left on device", r"= 1 failed, 1 passed in "),
        1,
        "at once",
        """
        def fill(disk):
            while not list(disk.glob("rank_*/*.kv")):
                time.sleep(0.01)
            act()
            with open(disk / "other", "wb", buffering=0) as file:
                while True:
                    try:
                        file.write(bytes(2**16))
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
        run_status="failed",
        needs="small disk",
        always=frozenset({("open mpi 5", 1)}),
    ),
    Scenario(
        "deadlock under a launcher",
        "All ranks wait for each other in MPI itself, under a launcher of yours",
        DEADLOCKED,
        86,
        "timeout + grace",
        DEADLOCK,
        run_status="failed",
        under="a launcher of the user's",
        has_rank=False,
    ),
    *killed_by_hand(),
    *launcher_ended("interrupted", "Ctrl-C at", "SIGINT to the launcher"),
    *launcher_ended("terminated", "SIGTERM to", "SIGTERM to the launcher"),
)
