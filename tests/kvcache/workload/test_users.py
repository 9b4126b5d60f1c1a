from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.kvcache.workload.users import User, draw_user, user_random

BOUNDS = {
    "chatbot": ((512, 4096), (50, 200), (0.1, 0.5)),
    "coding": ((4096, 25_000), (100, 500), (0.2, 1.0)),
    "document": ((4096, 16_384), (200, 800), (0.3, 1.5)),
}
PRIORITIES = {"interactive": 3, "responsive": 2, "batch": 1}


def users(count: int, seed: int) -> list[User]:
    return [draw_user(index, user_random(seed, index)) for index in range(count)]


@pytest.mark.slow
@given(st.integers(0, 2**63 - 1), st.integers(0, 100_000))
def test_user_is_within_the_bounds_of_its_kind(seed: int, index: int) -> None:
    user = draw_user(index, user_random(seed, index))
    context, generated, think = BOUNDS[user.kind]
    assert context[0] <= user.context_tokens <= context[1]
    assert generated[0] <= user.generated_tokens <= generated[1]
    assert think[0] <= user.think_s <= think[1]


@pytest.mark.slow
@given(st.integers(0, 2**63 - 1), st.integers(0, 100_000))
def test_user_priority_is_that_of_its_class(seed: int, index: int) -> None:
    user = draw_user(index, user_random(seed, index))
    assert user.qos.priority == PRIORITIES[user.qos.name]


def test_each_kind_has_a_third_of_the_users() -> None:
    assert Counter(user.kind for user in users(300, seed=42)) == dict.fromkeys(BOUNDS, 100)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("qos", "share"), [("interactive", 0.15), ("responsive", 0.35), ("batch", 0.50)]
)
def test_class_shares_follow_the_rules(qos: str, share: float) -> None:
    drawn = Counter(user.qos.name for user in users(6000, seed=42))
    assert drawn[qos] / 6000 == pytest.approx(share, abs=0.02)


def test_users_differ_within_and_between_seeds() -> None:
    first, second = users(30, seed=1), users(30, seed=2)
    assert len({user.think_s for user in first + second}) == 60
