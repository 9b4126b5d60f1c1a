"""Eviction policies against a simple model, in random sequences of operations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.kvcache.cache.eviction import PolicyName, eviction_policy

NAMES: tuple[PolicyName, ...] = ("lru", "lfu", "fifo")
steps = st.lists(
    st.tuples(st.sampled_from(["add", "use", "remove"]), st.integers(0, 6)), max_size=60
)


class Model:
    """Stores all times and counts, and sorts by them."""

    def __init__(self, policy: PolicyName) -> None:
        self._policy = policy
        self._clock = 0
        self.entries: dict[str, tuple[int, int, int]] = {}
        """Name → time added, uses, time of last use."""

    def step(self, kind: str, name: str) -> bool:
        self._clock += 1
        known = name in self.entries
        if (kind == "add") == known:
            return False
        if kind == "add":
            self.entries[name] = (self._clock, 0, self._clock)
        elif kind == "use":
            added, uses, _ = self.entries[name]
            self.entries[name] = (added, uses + 1, self._clock)
        else:
            del self.entries[name]
        return True

    def order(self) -> list[str]:
        def key(name: str) -> tuple[int, ...]:
            added, uses, used = self.entries[name]
            return {"fifo": (added,), "lru": (used,), "lfu": (uses, used)}[self._policy]

        return sorted(self.entries, key=key)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_policy_iterates_in_its_eviction_order(name: PolicyName) -> None:
    @given(steps)
    def holds(operations: list[tuple[str, int]]) -> None:
        policy, model = eviction_policy(name), Model(name)
        for kind, number in operations:
            if model.step(kind, str(number)):
                getattr(policy, kind)(str(number))
            assert list(policy) == model.order()

    holds()
