"""Which entry of a tier goes first: policies behind one interface."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Literal, Protocol

PolicyName = Literal["lru", "lfu", "fifo"]


class EvictionPolicy(Protocol):
    """Knows the names of a tier's entries, in the order in which they have to go."""

    def add(self, name: str) -> None:
        """Take note of an entry that came in."""
        ...

    def use(self, name: str) -> None:
        """Take note that an entry was read."""
        ...

    def remove(self, name: str) -> None:
        """Forget an entry."""
        ...

    def __iter__(self) -> Iterator[str]:
        """Return the entries, the one to go first first."""
        ...


class LeastRecentlyUsed:
    """What was not used for the longest time goes first."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()

    def add(self, name: str) -> None:
        """Put it last."""
        self._names[name] = None

    def use(self, name: str) -> None:
        """Put it last again."""
        self._names.move_to_end(name)

    def remove(self, name: str) -> None:
        """Forget it."""
        del self._names[name]

    def __iter__(self) -> Iterator[str]:
        """Return the names from the least recently used on."""
        return iter(self._names)


class FirstInFirstOut(LeastRecentlyUsed):
    """What came in first goes first, however often it was used."""

    def use(self, name: str) -> None:
        """Change nothing."""


class LeastFrequentlyUsed:
    """What was read least often goes first; of equals, what was not used for the longest time."""

    def __init__(self) -> None:
        self._uses: dict[str, int] = {}
        self._by_uses: dict[int, OrderedDict[str, None]] = {}

    def add(self, name: str) -> None:
        """Begin to count its uses."""
        self._put(name, 0)

    def use(self, name: str) -> None:
        """Count a use."""
        uses = self._take(name)
        self._put(name, uses + 1)

    def remove(self, name: str) -> None:
        """Forget it."""
        self._take(name)

    def __iter__(self) -> Iterator[str]:
        """Return the names from the least frequently used on."""
        for uses in sorted(self._by_uses):
            yield from self._by_uses[uses]

    def _put(self, name: str, uses: int) -> None:
        self._uses[name] = uses
        self._by_uses.setdefault(uses, OrderedDict())[name] = None

    def _take(self, name: str) -> int:
        uses = self._uses.pop(name)
        names = self._by_uses[uses]
        del names[name]
        if not names:
            del self._by_uses[uses]
        return uses


_POLICIES: dict[PolicyName, type[LeastRecentlyUsed | LeastFrequentlyUsed]] = {
    "lru": LeastRecentlyUsed,
    "lfu": LeastFrequentlyUsed,
    "fifo": FirstInFirstOut,
}


def eviction_policy(name: PolicyName) -> EvictionPolicy:
    """Return a new policy by its name."""
    return _POLICIES[name]()
