"""What goes wrong on one rank at odd moments: all ranks end, with the status that it calls for."""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import dataclass, field

import pytest

from tests.mpis import MPIS

pytestmark = pytest.mark.launches_mpi

PREAMBLE = """
import os, shutil, threading
import pytest

RANK = int(os.environ.get("OMPI_COMM_WORLD_RANK", os.environ.get("PMI_RANK", "-1")))
ACTS = RANK == {rank}
"""


@dataclass(frozen=True)
class Moment:
    """Something that goes wrong on one rank."""

    name: str
    status: int | None
    """None for any that says that something failed: ranks end with different ones."""
    shown: str = ""
    conftest: str = ""
    test: str = "def test_a(mpi_comm): mpi_comm.barrier()"
    options: tuple[str, ...] = ()
    run_status: str = ""
    """Of the metadata, where a run is opened."""
    always: tuple[str, int] = field(default=("", 0))
    """MPI and rank of what `make test` runs."""


MOMENTS = (
    Moment(
        "an option that one rank does not know",
        4,
        "unrecognized arguments: --foo",
        conftest="""
        def pytest_addoption(parser):
            if not ACTS:
                parser.addoption("--foo", action="store_true")
        """,
        options=("--foo",),
        always=("open mpi 5", 1),
    ),
    Moment(
        "hooks that fail at the start and then at the end",
        None,
        "host broken",
        conftest="""
        def pytest_configure(config):
            if ACTS:
                raise RuntimeError("host broken")
            config.thing = 1

        def pytest_unconfigure(config):
            del config.thing
        """,
    ),
    Moment(
        "results that cannot be made",
        None,
        "no lscpu",
        conftest="""
        def pytest_benchmark_update_machine_info():
            if RANK == 0:
                raise RuntimeError("no lscpu")
        """,
        test="def test_a(mlps_run, mpi_comm): mpi_comm.barrier()",
        options=("--mlps-results-dir=results",),
    ),
    Moment(
        "an interrupt where results cannot be written",
        2,
        "ERROR: ",
        test="""
        def test_a(mlps_run, mpi_comm):
            if RANK == 0:
                shutil.rmtree("results")
                open("results", "w").close()
            if ACTS:
                raise KeyboardInterrupt
            mpi_comm.barrier()
        """,
        options=("--mlps-results-dir=results",),
    ),
    Moment(
        "leaving with a common status beside raw MPI",
        86,
        "device gone",
        test="""
        def test_a(mpi_comm):
            if ACTS:
                pytest.exit("device gone", returncode=1)
            mpi_comm.mpi4py.Barrier()
        """,
    ),
    Moment(
        "leaving with a common status",
        1,
        "device gone",
        test="""
        def test_a(mpi_comm, mlps_run):
            if ACTS:
                pytest.exit("device gone", returncode=1)
            mpi_comm.barrier()
        """,
        options=("--mlps-results-dir=results",),
        run_status="failed",
    ),
    Moment(
        "a session's fixture that fails at the very end",
        3,
        "cannot remove dataset",
        test="""
        @pytest.fixture(scope="session")
        def dataset(mpi_comm):
            yield 1
            if ACTS:
                raise OSError("cannot remove dataset")
            mpi_comm.barrier()

        def test_a(dataset, mlps_run):
            pytest.exit("enough", returncode=3)
        """,
        options=("--mlps-results-dir=results",),
        run_status="failed",
        always=("open mpi 5", 1),
    ),
    Moment(
        "a hook that fails at the very end, after tests that passed",
        1,
        "no mail today",
        conftest="""
        def pytest_sessionfinish():
            if ACTS:
                raise OSError("no mail today")
        """,
        test="def test_a(mpi_comm, mlps_run): mpi_comm.barrier()",
        options=("--mlps-results-dir=results",),
        run_status="failed",
    ),
    Moment(
        "an interrupt of one rank while the gate judges",
        2,
        "interrupted: ",
        conftest="""
        from mlpstorage_bench.session.gate import SessionGate

        def judge(self, tell):
            if ACTS:
                raise KeyboardInterrupt
            self._bcast(None)

        SessionGate.judge = judge
        """,
        test="def test_a(kvcache): kvcache.run(1)",
        options=(
            *("--mlps-gate", "--mlps-trials=1", "--mlps-results-dir=results"),
            *("--mlps-set=storage=null", "--mlps-set=duration=1"),
        ),
        run_status="interrupted",
    ),
    Moment(
        "a value that cannot be sent",
        1,
        "1 passed",
        test="""
        def test_a(mpi_comm):
            mpi_comm.allgather(threading.Lock() if ACTS else 1)

        def test_b(mpi_comm):
            mpi_comm.barrier()
        """,
        always=("mpich", 0),
    ),
    Moment(
        "a text that is no UTF-8",
        86,
        "bad file k",
        test="""
        def test_a(mpi_comm):
            assert not ACTS, "bad file " + os.fsdecode(bytes([107, 255]))
            mpi_comm.mpi4py.Barrier()
        """,
    ),
    Moment(
        "an environment that a test clears for good",
        0,
        "1 passed",
        test="def test_a(mpi_comm): os.environ.clear()",
    ),
    Moment(
        "a status that a conftest changes at the end",
        0,
        "no tests ran",
        conftest="""
        def pytest_sessionfinish(session, exitstatus):
            if exitstatus == 5:
                session.exitstatus = 0
        """,
        test="",
    ),
)
RUNS = [
    pytest.param(
        *(moment, mpi, rank, started),
        id=f"{moment.name}-{mpi}-{rank}-{started}".replace(" ", "_"),
        marks=[]
        if (mpi, rank) == moment.always and started == "launched"
        else [pytest.mark.failure_matrix],
    )
    for moment in MOMENTS
    for mpi in ("open mpi 5", "mpich")
    for rank in (0, 1)
    for started in ("launched", "by hand")
    if (rank == 0) == (started == "by hand") or (mpi, rank) == moment.always
]
"""Each MPI and rank once, and each way to start the ranks."""


@pytest.mark.parametrize(("moment", "mpi_name", "rank", "started"), RUNS)
def test_what_goes_wrong_at_an_odd_moment_ends_all_ranks_with_its_status(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    moment: Moment,
    mpi_name: str,
    rank: int,
    started: str,
) -> None:
    mpi = MPIS[mpi_name]()
    for name, value in mpi.environment.items():
        monkeypatch.setenv(name, value)
    preamble = PREAMBLE.format(rank=rank)
    pytester.makeconftest(preamble + textwrap.dedent(moment.conftest))
    pytester.makepyfile(test_it=preamble + textwrap.dedent(moment.test))
    switches = ["--mlps-num-processes=2", *mpi.switches] if started == "launched" else []
    launcher = mpi.by_hand(2) if started == "by hand" else []
    result = pytester.run(
        *(*launcher, sys.executable, "-m", "pytest", *switches, "--mlps-grace=3", "-rs"),
        *(*moment.options, "--mlps-timeout=60"),
        timeout=50,
    )
    printed = result.stdout.str() + result.stderr.str()
    if moment.status is None:
        assert result.ret != 0, printed
        assert result.ret != pytest.ExitCode.NO_TESTS_COLLECTED or started == "by hand", printed
    else:
        assert result.ret == moment.status, printed
    assert moment.shown in printed
    if moment.run_status:
        (metadata,) = (pytester.path / "results").rglob("*_metadata.json")
        assert json.loads(metadata.read_text())["status"] == moment.run_status, printed
    assert not list(pytester.path.glob("mlps-cache/rank_*"))
