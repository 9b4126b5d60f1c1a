"""Eviction policies against what their names say, in any sequence of operations."""

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
    """Remembers everything, and sorts."""

    def __init__(self, policy: PolicyName) -> None:
        self._policy = policy
        self._clock = 0
        self.entries: dict[str, tuple[int, int, int]] = {}
        """Name → came in at, uses, last used at."""

    def step(self, kind: str, name: str) -> bool:
        self._clock += 1
        known = name in self.entries
        if (kind == "add") == known:
            return False
        if kind == "add":
            self.entries[name] = (self._clock, 0, self._clock)
        elif kind == "use":
            came, uses, _ = self.entries[name]
            self.entries[name] = (came, uses + 1, self._clock)
        else:
            del self.entries[name]
        return True

    def order(self) -> list[str]:
        def key(name: str) -> tuple[int, ...]:
            came, uses, used = self.entries[name]
            return {"fifo": (came,), "lru": (used,), "lfu": (uses, used)}[self._policy]

        return sorted(self.entries, key=key)


@pytest.mark.parametrize("name", NAMES)
def test_entries_go_in_the_order_of_the_policy(name: PolicyName) -> None:
    @given(steps)
    def holds(operations: list[tuple[str, int]]) -> None:
        policy, model = eviction_policy(name), Model(name)
        for kind, number in operations:
            if model.step(kind, str(number)):
                getattr(policy, kind)(str(number))
            assert list(policy) == model.order()

    holds()
