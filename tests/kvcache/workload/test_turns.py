"""Draws of users and turns: the same, however they are made."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.kvcache.workload.turns import draw_turns, turns_one_by_one
from mlpstorage_bench.kvcache.workload.users import QOS_CLASSES, draw_user, user_random

SEEDS = st.integers(0, 2**32)


@given(seed=SEEDS, counts=st.lists(st.integers(0, 40), max_size=6))
def test_turns_do_not_depend_on_how_many_are_drawn_at_once(seed: int, counts: list[int]) -> None:
    user = draw_user(1, user_random(seed, 1))
    random, other = user_random(seed, 2), user_random(seed, 2)
    parts = [draw_turns(user, random, count) for count in counts]
    whole = draw_turns(user, other, sum(counts))
    for place, values in enumerate(whole):
        drawn = [part[place].tolist() for part in parts]
        assert list(itertools.chain.from_iterable(drawn)) == values.tolist()


@given(seed=SEEDS)
def test_class_of_service_is_what_the_generator_would_choose(seed: int) -> None:
    number = user_random(seed, 0).choice(len(QOS_CLASSES), p=[one.share for one in QOS_CLASSES])
    assert draw_user(0, user_random(seed, 0)).qos == QOS_CLASSES[int(number)]


@given(seed=SEEDS, count=st.integers(0, 200))
def test_turns_one_by_one_are_those_in_arrays(seed: int, count: int) -> None:
    user = draw_user(1, user_random(seed, 1))
    arrays = draw_turns(user, user_random(seed, 2), count)
    expected = [*zip(*(values.tolist() for values in arrays), strict=True)]
    found = turns_one_by_one(user, user_random(seed, 2))
    assert [*itertools.islice(found, count)] == expected
