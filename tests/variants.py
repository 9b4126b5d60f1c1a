"""Values of a parameter of which `make test` takes the first alone."""

from __future__ import annotations

import pytest


def first_of(*values: object) -> list[object]:
    """Return parameters: the first as it is, the others for `make test-long`.

    A value of several parameters is a tuple, as for `pytest.mark.parametrize`.
    """
    first, *others = values
    return [first, *(_long(value) for value in others)]


def _long(value: object) -> object:
    values = value if isinstance(value, tuple) else (value,)
    return pytest.param(*values, marks=pytest.mark.long)
