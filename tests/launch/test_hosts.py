from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.launch.hosts import MOST_RANKS, Host, lay_out

names = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z0-9]{1,5})?", fullmatch=True)


TWO = (Host("h1"), Host("h2"))


def test_total_alone_is_spread_evenly() -> None:
    assert lay_out(TWO, num_processes=8).ranks_per_node == 4


def test_ranks_per_node_alone_gives_the_total() -> None:
    assert lay_out(TWO, npernode=3).total == 6


def test_layout_without_counts_has_one_rank_per_host() -> None:
    assert lay_out(TWO).total == 2


def test_layout_without_hosts_uses_this_host() -> None:
    layout = lay_out((), num_processes=3)
    assert (layout.hosts, layout.ranks_per_node) == ((Host("localhost"),), 3)


def test_total_that_is_no_multiple_of_hosts_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"--mlps-num-processes: got 3; .*multiple of .*2"):
        lay_out(TWO, num_processes=3)


def test_contradicting_counts_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"--mlps-npernode: got 3; accepted: 2"):
        lay_out(TWO, num_processes=4, npernode=3)


def test_number_of_ranks_has_a_limit() -> None:
    assert lay_out(TWO, npernode=MOST_RANKS // 2).total == MOST_RANKS
    with pytest.raises(InvalidInputError, match=f"--mlps-npernode: .*at most {MOST_RANKS} ranks"):
        lay_out(TWO, npernode=MOST_RANKS)


def test_too_few_slots_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"slots for at least 8 ranks.*sum to 3"):
        lay_out((Host("h1", 1), Host("h2", 2)), num_processes=8)


def test_slots_that_sum_to_the_total_are_accepted() -> None:
    assert lay_out((Host("h1", 6), Host("h2", 2)), num_processes=8).total == 8


@pytest.mark.parametrize(
    ("slots", "total", "ranks"),
    [
        ((None, None), 4, (2, 2)),
        ((6, 2), 8, (6, 2)),
        ((1, 3), 4, (1, 3)),
        ((9, 1, 9), 9, (4, 1, 4)),
        ((1, None, 9), 6, (1, 2, 3)),
    ],
)
def test_ranks_are_as_even_as_slots_allow(
    slots: tuple[int | None, ...], total: int, ranks: tuple[int, ...]
) -> None:
    given_hosts = [Host(f"h{number}", limit) for number, limit in enumerate(slots)]
    assert lay_out(given_hosts, num_processes=total).ranks_by_host == ranks


def test_ranks_per_node_above_a_hosts_slots_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"--mlps-npernode: got 2; .*h1 has 1"):
        lay_out((Host("h1", 1), Host("h2", 3)), npernode=2)


@pytest.mark.slow
@given(st.lists(names, min_size=1, max_size=9, unique=True), st.integers(1, 64))
def test_layout_places_every_rank_once(host_names: list[str], per_node: int) -> None:
    total = per_node * len(host_names)
    layout = lay_out([Host(name) for name in host_names], num_processes=total)
    assert sum(layout.slots_of(host) for host in layout.hosts) == layout.total == total
    assert layout.ranks_by_host == (per_node,) * len(host_names)
