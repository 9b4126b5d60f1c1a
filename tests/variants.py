"""Values of a parameter of which `make test` takes the first alone."""

from __future__ import annotations

from typing import Any

import pytest


def first_of(*values: object) -> list[object]:
    """Return parameters: the first as it is, the others for `make test-long`.

    A value of several parameters is a tuple or a `pytest.param`, as for `pytest.mark.parametrize`.
    """
    first, *others = values
    return [first, *(_long(value) for value in others)]


def _long(value: Any) -> object:
    if hasattr(value, "marks"):  # of pytest.param, whose class is private, and a tuple as well
        return pytest.param(*value.values, marks=[*value.marks, pytest.mark.long], id=value.id)
    values = value if isinstance(value, tuple) else (value,)
    return pytest.param(*values, marks=pytest.mark.long)
