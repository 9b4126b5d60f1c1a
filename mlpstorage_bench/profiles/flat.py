"""Profiles of benchmark types that have one workload: all keys are at the top of a YAML file.

They are loaded, changed by the user's settings, and checked; errors are reported together, with the
lines of their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.inputs.yaml_files import Document
from mlpstorage_bench.profiles.schema import with_value
from mlpstorage_bench.profiles.values import PROFILE_OPTION, SET_OPTION, read_profile, value_of

M = TypeVar("M", bound=BaseModel)


def load_flat(
    model: type[M],
    shipped: Mapping[str, str],
    name: str,
    overrides: Iterable[tuple[str, str]] = (),
    *,
    options: Mapping[str, object] | None = None,
    fixed: frozenset[str] = frozenset(),
) -> M:
    """Load a profile by name or path, and apply the user's settings.

    `overrides` are keys with values as typed, `options` values of options that are keys as well.
    The command line cannot set the keys that are `fixed`.
    """
    document = read_profile(shipped, name)
    if not isinstance(document.content, dict):
        raise InvalidInputError(PROFILE_OPTION, name, "a YAML mapping of parameters")
    content = dict(document.content)
    profile = _validated(model, content, PROFILE_OPTION, name, document)
    assignments = list(overrides)
    for key, text in assignments:
        if key not in model.model_fields.keys() - fixed:
            raise _unknown_key(model, key, fixed)
        is_text = model.model_fields[key].annotation in (str, str | None)
        content[key] = value_of(key, text, is_text=is_text)
    content.update(options or {})
    if assignments or options:
        given = ", ".join(f"{key}={text}" for key, text in assignments)
        profile = _validated(model, content, SET_OPTION, given)
    return profile


def _unknown_key(model: type[BaseModel], key: str, fixed: frozenset[str]) -> InvalidInputError:
    names = sorted(model.model_fields.keys() - fixed)
    return InvalidInputError(
        SET_OPTION, key, f"one of {', '.join(names)}", hint=nearest(key, names)
    )


def _validated(
    model: type[M],
    content: Mapping[str, object],
    source: str,
    given: str,
    document: Document | None = None,
) -> M:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_describe(model, document, one) for one in error.errors())
        raise InvalidInputError(
            source, given, "values of the type and within the limits of their keys", hint=problems
        ) from error


def _describe(model: type[BaseModel], document: Document | None, problem: ErrorDetails) -> str:
    path = problem["loc"]
    where = ".".join(str(part) for part in path)
    line = None if document is None else document.line_of(path)
    place = where if line is None else f"line {line}, {where}"
    if problem["type"] == "extra_forbidden":
        hint = nearest(path[-1], model.model_fields)
        return f"{place}: unknown key. {hint}".rstrip()
    return f"{place}: {with_value(problem)}".removeprefix(": ")
