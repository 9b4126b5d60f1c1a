"""Eviction policies of a tier, behind one interface."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Literal, Protocol

PolicyName = Literal["lru", "lfu", "fifo"]


class EvictionPolicy(Protocol):
    """Names of a tier's entries in eviction order."""

    def add(self, name: str) -> None:
        """Add a new entry."""
        ...

    def use(self, name: str) -> None:
        """Record a read of an entry."""
        ...

    def remove(self, name: str) -> None:
        """Remove an entry."""
        ...

    def __iter__(self) -> Iterator[str]:
        """Iterate over entries in eviction order."""
        ...


class LeastRecentlyUsed:
    """Evicts the entry that was unused for the longest time."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()

    def add(self, name: str) -> None:
        """Append the entry."""
        self._names[name] = None

    def use(self, name: str) -> None:
        """Move the entry to the end."""
        self._names.move_to_end(name)

    def remove(self, name: str) -> None:
        """Remove the entry."""
        del self._names[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate from the least recently used entry."""
        return iter(self._names)


class FirstInFirstOut(LeastRecentlyUsed):
    """Evicts the oldest entry, independent of its use."""

    def use(self, name: str) -> None:
        """Do nothing: use does not change the order."""


class LeastFrequentlyUsed:
    """Evicts the least often read entry; among equals, the one unused for the longest time."""

    def __init__(self) -> None:
        self._uses: dict[str, int] = {}
        self._by_uses: dict[int, OrderedDict[str, None]] = {}

    def add(self, name: str) -> None:
        """Add the entry with 0 uses."""
        self._put(name, 0)

    def use(self, name: str) -> None:
        """Count a use."""
        uses = self._take(name)
        self._put(name, uses + 1)

    def remove(self, name: str) -> None:
        """Remove the entry."""
        self._take(name)

    def __iter__(self) -> Iterator[str]:
        """Iterate from the least frequently used entry."""
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
    """Return a new policy with this name."""
    return _POLICIES[name]()
