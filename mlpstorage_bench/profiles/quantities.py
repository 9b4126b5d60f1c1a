"""Types of numbers with a unit, and their limits.

Every number has limits, so that a value beyond all sense is refused before it is used.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.config import JsonDict


def unit(name: str) -> JsonDict:
    """Return what the JSON schema says of a value in a unit."""
    return {"unit": name}


MOST_SECONDS = 7 * 86_400
Seconds = Annotated[
    float, Field(ge=0, le=MOST_SECONDS, allow_inf_nan=False, json_schema_extra=unit("s"))
]
Gib = Annotated[float, Field(ge=0, le=1 << 30, allow_inf_nan=False, json_schema_extra=unit("GiB"))]
"""Sizes up to an exbibyte."""
SomeGib = Annotated[
    float, Field(ge=1e-9, le=1 << 30, allow_inf_nan=False, json_schema_extra=unit("GiB"))
]
"""Sizes from a byte on."""
Percent = Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False, json_schema_extra=unit("%"))]
Factor = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
PositiveFactor = Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False)]
PerSecond = Annotated[
    float, Field(ge=1e-6, le=10_000, allow_inf_nan=False, json_schema_extra=unit("1/s"))
]
"""Requests per second of a rank, which takes 10 to 50 µs to make each."""
