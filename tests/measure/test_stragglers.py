"""Stragglers: slow ranks and hosts are reported, ranks with fewer requests are not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.measure.stragglers import (
    SLOW_SHARE,
    Straggler,
    Work,
    find_stragglers,
    missing_share,
    waiting_share,
)
from mlpstorage_bench.units import MIB


def work(rank: int, speed: float = 1.0, host: str = "h0", users: int = 4) -> Work:
    """Work of a rank that was busy for 8 s at a relative speed."""
    return Work(rank, host, users, round(1000 * MIB * speed), round(100 * speed), 8.0)


def test_slow_rank_is_reported_with_its_share() -> None:
    assert find_stragglers([work(0), work(1), work(2, 0.5), work(3)]) == [Straggler("h0", 2, 0.5)]


def test_rank_just_above_the_limit_is_not_reported() -> None:
    assert find_stragglers([work(0), work(1), work(2, 0.71), work(3)]) == []


def test_rank_with_fewer_requests_is_not_reported() -> None:
    idle = replace(work(2), moved_bytes=300 * MIB, operations=30, busy_s=8.0 * 0.3)
    assert find_stragglers([work(0), work(1), idle, work(3)]) == []


def test_rank_without_completed_operation_is_reported() -> None:
    stuck = replace(work(2), moved_bytes=0, operations=0, busy_s=0.0)
    assert find_stragglers([work(0), work(1), stuck]) == [Straggler("h0", 2, 0.0)]


def test_two_ranks_are_compared_with_their_mean() -> None:
    assert find_stragglers([work(0), work(1, 0.25)]) == [Straggler("h0", 1, 0.25 / 0.625)]
    assert find_stragglers([work(0), work(1, 0.6)]) == []


def test_ranks_with_different_numbers_of_users_are_not_compared() -> None:
    assert find_stragglers([work(0), work(1), work(2, 0.25, users=1)]) == []


def test_slow_host_is_reported_without_its_ranks() -> None:
    hosts = [work(n, 0.5 if n // 2 == 1 else 1.0, f"h{n // 2}") for n in range(6)]
    assert find_stragglers(hosts) == [Straggler("h1", None, 0.5)]


def test_slow_rank_is_reported_beside_another_slow_host() -> None:
    ranks = [work(n, 0.5 if n // 4 == 1 else 1.0, f"h{n // 4}") for n in range(16)]
    ranks[0] = work(0, 0.4)
    found = find_stragglers(ranks)
    assert [(one.host, one.rank) for one in found] == [("h1", None), ("h0", 0)]


def test_few_operations_report_no_straggler() -> None:
    assert find_stragglers([replace(work(n, 0.3 + n), operations=9) for n in range(3)]) == []


def test_straggler_message_has_name_and_share() -> None:
    assert str(Straggler("h2", 5, 0.412)) == (
        "rank 5 on h2 is slow: it moved 41% of the median rank's bytes in the same time"
    )
    assert str(Straggler("h2", None, 0.412)) == (
        "host h2 is slow: it moved 41% of the median host's bytes in the same time"
    )


def of_fixed_size(rank: int, seconds: float, host: str = "h0") -> Work:
    """Work of a rank that moved as many bytes as the others, in its own time."""
    return Work(rank, host, 1, 1000 * MIB, 100, seconds, seconds)


def test_rank_that_took_longer_for_as_many_bytes_is_reported() -> None:
    ranks = [of_fixed_size(0, 2.0), of_fixed_size(1, 5.0), of_fixed_size(2, 2.0)]
    assert find_stragglers(ranks) == [Straggler("h0", 1, 0.4)]
    assert missing_share(ranks) == pytest.approx(0.3 / 1.5)


def test_rank_that_waited_for_other_reasons_than_its_operations_is_not_reported() -> None:
    waiting = replace(of_fixed_size(1, 5.0), busy_s=2.0)
    assert find_stragglers([of_fixed_size(0, 2.0), waiting, of_fixed_size(2, 2.0)]) == []


def test_others_wait_for_stragglers_from_their_own_last_end_on() -> None:
    ranks = [of_fixed_size(0, 2.0), of_fixed_size(1, 10.0), of_fixed_size(2, 2.5)]
    assert waiting_share(ranks) == 0.75
    assert waiting_share(ranks[::2]) == 0
    hosts = [of_fixed_size(n, 4.0 if n // 2 == 1 else 2.0, f"h{n // 2}") for n in range(6)]
    assert waiting_share(hosts) == 0.5


@pytest.mark.slow
@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=20))
def test_reported_ranks_are_below_the_limit_and_a_minority(speeds: list[float]) -> None:
    found = find_stragglers([work(n, speed) for n, speed in enumerate(speeds)])
    assert all(one.share < SLOW_SHARE for one in found)
    assert len(found) <= len(speeds) / 2
