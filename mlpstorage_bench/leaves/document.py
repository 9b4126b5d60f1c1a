"""A JSON or YAML file that others wrote, read by key and expected type."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

LineOf = Callable[[Sequence[str | int]], int | None]


def finite_number(value: object) -> float | None:
    """Return a finite number; one in a string counts, as `--params` records strings."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None
    return None


class Document:
    """The value of a file, or a part of it.

    A key that is absent, or whose value has another type than the caller expects, is None: a rule
    then says that it cannot tell.
    """

    def __init__(self, value: object, path: Path, line_of: LineOf | None = None) -> None:
        self._value = value
        self.path = path
        self._line_of = line_of

    def line_of(self, keys: Sequence[str | int]) -> int | None:
        """Return the line of a value, or of the nearest one around it; None where it is unknown."""
        return None if self._line_of is None else self._line_of(keys)

    def _at(self, keys: tuple[str, ...]) -> object:
        value = self._value
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                return None
            value = value[key]
        return value

    def has(self, *keys: str) -> bool:
        """Return whether there is such a key, whatever its value."""
        parent = self._at(keys[:-1])
        return isinstance(parent, dict) and keys[-1] in parent

    def text(self, *keys: str) -> str | None:
        """Return a string."""
        value = self._at(keys)
        return value if isinstance(value, str) else None

    def number(self, *keys: str) -> float | None:
        """Return a finite number, or one in a string."""
        return finite_number(self._at(keys))

    def count(self, *keys: str) -> int | None:
        """Return a number without a fraction that is not negative."""
        number = self.number(*keys)
        return int(number) if number is not None and number >= 0 and number.is_integer() else None

    def flag(self, *keys: str) -> bool | None:
        """Return a truth value; "True" and "false" in strings count."""
        value = self._at(keys)
        if isinstance(value, str):
            return {"true": True, "false": False}.get(value.lower())
        return value if isinstance(value, bool) else None

    def texts(self, *keys: str) -> list[str]:
        """Return the strings of a list, or the words of one string."""
        value = self._at(keys)
        if isinstance(value, str):
            return value.split()
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    def numbers(self, *keys: str) -> list[float]:
        """Return the finite numbers of a list."""
        value = self._at(keys)
        numbers = map(finite_number, value) if isinstance(value, list) else ()
        return [number for number in numbers if number is not None]

    def part(self, *keys: str) -> Document:
        """Return a part of the document; an empty one if there is none."""
        return Document(self._at(keys), self.path)

    def parts(self, *keys: str) -> list[Document]:
        """Return the elements of a list."""
        value = self._at(keys)
        return [Document(item, self.path) for item in value] if isinstance(value, list) else []

    def items(self, *keys: str) -> Iterator[tuple[str, Document]]:
        """Yield the keys and values of a mapping."""
        value = self._at(keys)
        if isinstance(value, dict):
            for key, item in value.items():
                yield str(key), Document(item, self.path)

    @property
    def is_empty(self) -> bool:
        """Whether the value is absent, null, or an empty list or mapping."""
        return self._value is None or (isinstance(self._value, dict | list) and not self._value)

    @property
    def value(self) -> object:
        """The value as the parser returned it."""
        return self._value
