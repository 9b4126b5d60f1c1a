"""Members that an object needs to have, by the interfaces that it implements."""

from __future__ import annotations

import inspect
from collections.abc import Iterator


def member_names(*interfaces: type) -> list[str]:
    """Return the public members of interfaces and of those that they extend, in their order."""
    return list(dict.fromkeys(name for one in interfaces for name in _declared(one)))


def missing_members(given: object, *interfaces: type) -> list[str]:
    """Return the members of interfaces that an object lacks; no property is computed."""
    absent = object()
    return [
        name
        for name in member_names(*interfaces)
        if inspect.getattr_static(given, name, absent) is absent
    ]


def _declared(interface: type) -> Iterator[str]:
    """Yield the names that classes define or annotate, those of the bases first."""
    for base in reversed(interface.__mro__):
        if base is not object:
            names = [*vars(base), *inspect.get_annotations(base)]
            yield from (name for name in names if not name.startswith("_"))
