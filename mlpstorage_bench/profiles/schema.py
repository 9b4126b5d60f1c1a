"""Base of the models of profiles, other names of their keys, and errors of their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import shortened


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


def reason_of(problem: Mapping[str, Any]) -> str:
    """Return the text of one of pydantic's errors; our own validators' without its prefix."""
    return str(problem["msg"]).removeprefix("Value error, ")


def refused(source: str, given: Mapping[str, Any], error: ValidationError) -> InvalidInputError:
    """Return the error of parameters that a test has given; `source` is the function.

    A combination that cannot run is of no parameter: the error then shows all that are given.
    """
    problem = error.errors()[0]
    if not problem["loc"]:
        return InvalidInputError(source, dict(given), reason_of(problem))
    where = ".".join(map(str, problem["loc"]))
    return InvalidInputError(f"{source}: {where}", problem["input"], reason_of(problem))


def with_value(problem: Mapping[str, Any]) -> str:
    """Return the text of one of pydantic's errors, with the value; of a combination, without it."""
    if problem["type"] == "value_error" and isinstance(problem["input"], Mapping):
        return reason_of(problem)
    return f"{reason_of(problem)} (got {shortened(repr(problem['input']))})"
