"""Failures of one rank at the edges of a session: second table of docs/failures.md (see page.py).

For example in hooks and fixtures at its very start or end.
"""

from __future__ import annotations

from tests.failures.scenario import NO_RUN, Scenario, Unspecified

DIFFERENT = Unspecified(
    "under a launcher of yours, ranks end with different statuses, which it combines in its way",
    never=frozenset({0}),  # MPICH returns the bitwise or: 1 and 4 make 5
)

BARRIER = "def test_a(mpi_comm): mpi_comm.barrier()"

ODD_MOMENTS = (
    Scenario(
        "option of some ranks",
        "A conftest declares an option on one rank only",
        ("unrecognized arguments: --foo",),
        4,
        "at once",
        BARRIER,
        """
        def pytest_addoption(parser):
            if ACTS:
                act()
            else:
                parser.addoption("--foo", action="store_true")
        """,
        options=("--foo",),
        run_status=NO_RUN,
        under="either",
    ),
    Scenario(
        "configure and unconfigure",
        "A hook fails at the start on one rank, and another at the end for that reason",
        ("host broken",),
        3,
        "at once",
        BARRIER,
        """
        def pytest_configure(config):
            if ACTS:
                act()
                raise RuntimeError("host broken")
            config.thing = 1

        def pytest_unconfigure(config):
            del config.thing
        """,
        run_status=NO_RUN,
        under="either",
        by_hand=DIFFERENT,
    ),
    Scenario(
        "opening",
        "A plugin keeps rank 0 from making the files of results",
        ("no lscpu",),
        3,
        "at once",
        "def test_a(mlps_run, mpi_comm): mpi_comm.barrier()",
        """
        def pytest_benchmark_update_machine_info():
            if RANK == 0:
                act()
                raise RuntimeError("no lscpu")
        """,
        run_status=NO_RUN,
        under="either",
        by_hand=DIFFERENT,
    ),
    Scenario(
        "interrupted without results",
        "A rank is interrupted, and rank 0 cannot write results",
        ("ERROR: ",),
        2,
        "at once",
        """
        def test_a(mlps_run, mpi_comm):
            if RANK == 0:
                shutil.rmtree("results")
                open("results", "w").close()
            if ACTS:
                act()
                raise KeyboardInterrupt
            mpi_comm.barrier()
        """,
        run_status=NO_RUN,
        under="either",
    ),
    Scenario(
        "exit beside raw MPI",
        "A rank leaves by `pytest.exit` while others wait in MPI itself",
        ("device lost",),
        86,
        "grace",
        """
        def test_a(mpi_comm):
            if ACTS:
                act()
                pytest.exit("device lost", returncode=1)
            mpi_comm.mpi4py.Barrier()
        """,
        run_status="failed",
        under="either",
    ),
    Scenario(
        "exit",
        "A rank leaves by `pytest.exit` with status 1",
        ("device lost",),
        1,
        "at once",
        """
        def test_a(mpi_comm):
            if ACTS:
                act()
                pytest.exit("device lost", returncode=1)
            mpi_comm.barrier()
        """,
        run_status="failed",
        under="either",
    ),
    Scenario(
        "session fixture",
        "All ranks leave by `pytest.exit` with status 3, and a session's fixture then fails on one",
        ("cannot remove dataset",),
        3,
        "at once",
        """
        @pytest.fixture(scope="session")
        def dataset(mpi_comm):
            yield 1
            if ACTS:
                act()
                raise OSError("cannot remove dataset")
            mpi_comm.barrier()

        def test_a(dataset):
            pytest.exit("enough", returncode=3)
        """,
        run_status="failed",
        under="either",
        always=frozenset({("open mpi 5", 1)}),
    ),
    Scenario(
        "sessionfinish",
        "A hook fails on one rank at the session's end, after tests that passed",
        ("no mail today",),
        1,
        "at once",
        BARRIER,
        """
        def pytest_sessionfinish():
            if ACTS:
                act()
                raise OSError("no mail today")
        """,
        run_status="failed",
        under="either",
    ),
    Scenario(
        "interrupted gate",
        "A rank is interrupted while the gate compares runs",
        ("interrupted: ",),
        2,
        "at once",
        conftest="""
        from mlpstorage_bench.session.gate import SessionGate

        def judge(self, report, others):
            if ACTS:
                act()
                raise KeyboardInterrupt
            self._bcast(None)

        SessionGate.judge = judge
        """,
        options=("--mlps-gate", "--mlps-set=storage=null", "--mlps-set=think_time_scale=0.5"),
        run_status="interrupted",
        under="either",
    ),
    Scenario(
        "unsendable value",
        "A rank passes a value to `mpi_comm` that cannot be pickled",
        ("= 1 failed, 2 passed in ",),
        1,
        "at once",
        """
        def test_a(mpi_comm):
            if ACTS:
                act()
            mpi_comm.allgather(threading.Lock() if ACTS else 1)

        def test_b(mpi_comm):
            mpi_comm.barrier()
        """,
        run_status="failed",
        under="either",
    ),
    Scenario(
        "text that is not UTF-8",
        "A failure whose text is not UTF-8, while others wait in MPI itself",
        ("bad file k",),
        86,
        "grace",
        """
        def test_a(mpi_comm):
            if ACTS:
                act()
            assert not ACTS, "bad file " + os.fsdecode(bytes([107, 255]))
            mpi_comm.mpi4py.Barrier()
        """,
        run_status="failed",
        under="either",
    ),
    Scenario(
        "cleared environment",
        "A test clears the environment of its process",
        ("= 2 passed in ",),
        0,
        "at once",
        """
        def test_a(mpi_comm):
            act()
            os.environ.clear()
        """,
        run_status="passed",
        under="either",
    ),
    Scenario(
        "changed status",
        "A conftest changes the exit status at the session's end",
        ("no tests ran",),
        0,
        "at once",
        conftest="""
        def pytest_sessionfinish(session, exitstatus):
            act()
            if exitstatus == 5:
                session.exitstatus = 0
        """,
        run_status=NO_RUN,
        under="either",
    ),
)
