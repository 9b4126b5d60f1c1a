"""Base of the models of profiles, and other names of their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from mlpstorage_bench.errors import InvalidInputError


class Strict(BaseModel):
    """Base of models that refuse unknown keys and values of other types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def canonical(
    source: str, values: Mapping[str, Any], synonyms: Mapping[str, str]
) -> dict[str, Any]:
    """Replace synonyms by the keys' own names.

    InvalidInputError, which names `source`, if a key occurs under two names.
    """
    given: dict[str, str] = {}
    for name in values:
        own = synonyms.get(name, name)
        if own in given:
            both = f"{given[own]} and {name}"
            raise InvalidInputError(source, both, "one of these names of one key, not both")
        given[own] = name
    return {own: values[name] for own, name in given.items()}
