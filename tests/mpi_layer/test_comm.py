"""The communicator's contract, with one process and with real ranks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mlpstorage_bench.mpi.comm import SessionPhase, SoloComm
from mlpstorage_bench.mpi.ranks import Notice
from tests.variants import first_of

RunRanks = Callable[..., pytest.RunResult]

CONTRACT = """
import time

import pytest

from mlpstorage_bench.process.identity import clock_number

def test_rank_and_size(mpi_comm):
    assert 0 <= mpi_comm.rank < mpi_comm.size

def test_barrier(mpi_comm):
    assert mpi_comm.barrier() is None

def test_bcast(mpi_comm):
    root = mpi_comm.size - 1
    assert mpi_comm.bcast({"from": mpi_comm.rank}, root) == {"from": root}

def test_gather(mpi_comm):
    gathered = mpi_comm.gather(mpi_comm.rank * 2)
    from_all_ranks = [rank * 2 for rank in range(mpi_comm.size)]
    assert gathered == (from_all_ranks if mpi_comm.rank == 0 else None)

def test_allgather(mpi_comm):
    assert mpi_comm.allgather(str(mpi_comm.rank)) == [str(r) for r in range(mpi_comm.size)]

@pytest.mark.parametrize("op, expected", [("sum", sum), ("min", min), ("max", max)])
def test_allreduce(mpi_comm, op, expected):
    assert mpi_comm.allreduce(mpi_comm.rank + 1, op) == expected(range(1, mpi_comm.size + 1))

def test_merge_adds_every_value_once(mpi_comm):
    total = mpi_comm.merge({mpi_comm.rank}, lambda one, other: one | other)
    assert total == (set(range(mpi_comm.size)) if mpi_comm.rank == 0 else None)

def test_clock_set_forward_is_found_to_be_ahead(mpi_comm):
    ahead_ns = 10**12 * mpi_comm.rank
    offset = mpi_comm.clock_offset(lambda: time.perf_counter_ns() + ahead_ns)
    assert abs(offset.ahead_ns - ahead_ns) <= offset.uncertainty_ns
    assert (offset.uncertainty_ns > 0) == (mpi_comm.rank > 0)

def test_offset_of_a_clock_that_ranks_share_is_exactly_zero(mpi_comm):
    number, own = clock_number(), 10 + mpi_comm.rank
    shared = mpi_comm.clock_offset(time.perf_counter_ns, number)
    assert (shared.ahead_ns, shared.uncertainty_ns) == (0, 0)
    other = mpi_comm.clock_offset(time.perf_counter_ns, own)
    assert (other.uncertainty_ns > 0) == (mpi_comm.rank > 0)
    assert mpi_comm.allgather(number) == [number] * mpi_comm.size

def test_ranks_that_share_a_clock_have_one_offset(mpi_comm):
    own = mpi_comm.clock_offset(time.perf_counter_ns, 1 if mpi_comm.rank == 0 else 2)
    assert len(set(mpi_comm.allgather(own)[1:])) <= 1

def test_bad_arguments_are_refused_on_every_rank(mpi_comm):
    with pytest.raises(ValueError, match="root: got 99"):
        mpi_comm.bcast(1, 99)
    with pytest.raises(ValueError, match="op: got 'mean'"):
        mpi_comm.allreduce(1, "mean")

def test_large_values_arrive_whole(mpi_comm):
    blob = bytes(range(256)) * 40_000
    assert mpi_comm.bcast(blob if mpi_comm.rank == 0 else None) == blob
"""


def test_solo_comm_meets_contract_without_importing_mpi(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        CONTRACT
        + """
def test_no_mpi(mpi_comm):
    import sys
    assert mpi_comm.mpi4py is None
    assert "mpi4py.MPI" not in sys.modules
"""
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == 0
    result.assert_outcomes(passed=15)


@pytest.mark.launches_mpi
@pytest.mark.parametrize("ranks", first_of(5, 1))
def test_mpi_comm_meets_contract(
    pytester: pytest.Pytester, run_ranks: RunRanks, ranks: int
) -> None:
    pytester.makepyfile(
        CONTRACT
        + """
def test_mpi4py(mpi_comm):
    assert mpi_comm.mpi4py.Get_rank() == mpi_comm.rank
    assert mpi_comm.mpi4py.allreduce(1) == mpi_comm.size
"""
    )
    result = run_ranks(ranks)
    assert result.ret == 0
    result.assert_outcomes(passed=15)


@pytest.mark.launches_mpi
def test_notices_are_received_once_and_not_in_later_phases(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile(
        """
        import time
        from mlpstorage_bench.mpi.ranks import Notice

        def test_heard(mpi_comm):
            if mpi_comm.rank == 1:
                mpi_comm.announce(Notice.CLOSING)
            deadline = time.monotonic() + 20
            while mpi_comm.rank != 1 and not mpi_comm.poll(Notice.CLOSING):
                assert time.monotonic() < deadline
            assert mpi_comm.poll(Notice.FAILED) == []
            mpi_comm.barrier()
            assert mpi_comm.poll(Notice.CLOSING) == []

        def test_unread_notices_do_not_leak_into_the_next_test(mpi_comm):
            mpi_comm.announce(Notice.FAILED)

        def test_next(mpi_comm):
            assert mpi_comm.poll(Notice.FAILED) == []

        def test_latest_figures_arrive_until_the_next_collective(mpi_comm):
            mpi_comm.post(b"old")
            mpi_comm.post(b"%d" % mpi_comm.rank)
            latest = {0: b"0", 1: b"1", 2: b"2"}
            deadline = time.monotonic() + 20
            while mpi_comm.rank == 0 and mpi_comm.posted() != latest:
                assert time.monotonic() < deadline
            mpi_comm.barrier()
            assert mpi_comm.posted() == {}
            mpi_comm.post(b"unread")

        def test_unread_figures_do_not_leak_into_the_next_test(mpi_comm):
            mpi_comm.barrier()
            assert mpi_comm.posted() == {}
        """
    )
    result = run_ranks(3)
    assert result.ret == 0
    result.assert_outcomes(passed=5)


@pytest.mark.launches_mpi
def test_abort_ends_all_ranks_with_its_code_and_message(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile(
        """
        def test_aborts(mpi_comm):
            if mpi_comm.rank == 1:
                mpi_comm.abort(7, "the array is on fire")
            mpi_comm.barrier()
        """
    )
    result = run_ranks(2)
    assert result.ret == 7
    assert "the array is on fire" in result.stderr.str()


def test_solo_comm_abort_exits_with_its_code() -> None:
    with pytest.raises(SystemExit) as ended:
        SoloComm().abort(7, "the array is on fire")
    assert ended.value.code == 7


def test_solo_comm_agrees_alone_and_polls_no_rank() -> None:
    comm = SoloComm()
    comm.announce(Notice.FAILED)
    assert comm.poll(Notice.FAILED) == []
    comm.post(b"figures")
    assert comm.posted() == {0: b"figures"}
    assert comm.agree("here", 5, phase=SessionPhase.REPORT, grace_s=None) == [5]
