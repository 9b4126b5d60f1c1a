"""Agreement of ranks on outcomes: a failure or skip on one rank applies to all, without a hang."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from tests.variants import first_of

RunRanks = Callable[..., pytest.RunResult]
pytestmark = pytest.mark.launches_mpi


@pytest.mark.parametrize(
    ("mode", "headers"),
    first_of(
        pytest.param("auto", 3, id="joined late"), pytest.param("on", 1, id="joined at start")
    ),
)
def test_outcome_on_one_rank_is_the_outcome_on_all(
    pytester: pytest.Pytester, run_ranks: RunRanks, mode: str, headers: int
) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_fails_on_rank_1(mpi_comm):
            assert mpi_comm.rank != 1, "rank one is broken"
            mpi_comm.barrier()

        def test_skipped_on_rank_2(mpi_comm):
            if mpi_comm.rank == 2:
                pytest.skip("no device here")
            mpi_comm.barrier()

        @pytest.fixture
        def setup_breaks_on_rank_0(mpi_comm):
            if mpi_comm.rank == 0:
                raise OSError("setup broke")

        def test_setup(setup_breaks_on_rank_0, mpi_comm):
            mpi_comm.barrier()

        @pytest.fixture
        def teardown_breaks_on_rank_2(mpi_comm):
            yield
            if mpi_comm.rank == 2:
                raise OSError("teardown broke")

        def test_teardown(teardown_breaks_on_rank_2, mpi_comm):
            mpi_comm.barrier()

        @pytest.mark.xfail(reason="known on rank 1")
        def test_expected_failure_on_rank_1(mpi_comm):
            assert mpi_comm.rank != 1

        def test_system_exit_on_rank_1(mpi_comm):
            if mpi_comm.rank == 1:
                raise SystemExit(3)
            mpi_comm.allreduce(1)

        def test_ranks_call_different_collectives(mpi_comm):
            mpi_comm.barrier() if mpi_comm.rank == 0 else mpi_comm.bcast(1)

        def test_rank_2_leaves_out_a_collective(mpi_comm):
            if mpi_comm.rank != 2:
                mpi_comm.barrier()

        def test_ranks_still_agree_afterwards(mpi_comm):
            assert mpi_comm.allreduce(mpi_comm.rank) == 3
            assert mpi_comm.mpi4py.allreduce(1) == 3
        """
    )
    result = run_ranks(3, "-o", f"mlps_mpi={mode}", "-rA", "--junitxml=junit.xml")
    result.assert_outcomes(passed=2, failed=4, errors=2, skipped=1, xfailed=1)
    assert result.ret == 1
    output = result.stdout.str()
    for line in (
        "rank 2 on *: OSError: teardown broke",
        "rank 1 on *: AssertionError: rank one is broken*",
        "rank 1 on *: SystemExit: 3",
        "*'barrier (collective 1 of this test)', but rank 1 is at 'bcast from 0*",
        "*'barrier*but rank 2 is at 'report of *test_rank_2_leaves_out_a_collective*",
        "*no device here (on rank 2 on *)",
    ):
        result.stdout.fnmatch_lines([line])
    assert output.count("test session starts") == headers
    assert output.count("short test summary info") == 1
    suite = ET.parse(pytester.path / "junit.xml").getroot()[0]  # noqa: S314 - our own file
    counts = {name: suite.attrib[name] for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "9", "failures": "4", "errors": "2", "skipped": "2"}
