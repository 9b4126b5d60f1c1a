"""Profiles of benchmark types that have one workload: all keys are at the top of a YAML file.

They are loaded, changed by the user's settings, and checked; errors are reported together, with the
lines of their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.escaping import shortened
from mlpstorage_bench.inputs.yaml_files import (
    Document,
    YamlError,
    parse_scalar,
    parse_yaml,
    read_yaml,
)
from mlpstorage_bench.paths import InputFile, look_up

PROFILE_OPTION = "--mlps-profile"
SET_OPTION = "--mlps-set"
_YAML_BEGINS = ("'", '"', "[", "{", "!")


class Strict(BaseModel):
    """Base of models that refuse unknown keys and values of other types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


M = TypeVar("M", bound=BaseModel)


def shipped_in(package: str) -> dict[str, str]:
    """Return the profiles in the folder `profiles` of a package: name → YAML text."""
    folder = resources.files(package) / "profiles"
    return {
        item.name.removesuffix(".yaml"): item.read_text(encoding="utf-8")
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".yaml")
    }


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
    document = _read(shipped, name)
    if not isinstance(document.content, dict):
        raise InvalidInputError(PROFILE_OPTION, name, "a YAML mapping of parameters")
    content = dict(document.content)
    profile = _validated(model, content, PROFILE_OPTION, name, document)
    assignments = list(overrides)
    for key, text in assignments:
        if key not in model.model_fields.keys() - fixed:
            raise _unknown_key(model, key, fixed)
        content[key] = _value_of(model, key, text)
    content.update(options or {})
    if assignments or options:
        given = ", ".join(f"{key}={text}" for key, text in assignments)
        profile = _validated(model, content, SET_OPTION, given)
    return profile


def _read(shipped: Mapping[str, str], name: str) -> Document:
    if name in shipped:
        return parse_yaml(shipped[name])
    path = Path(name)
    if path.suffix not in (".yaml", ".yml") and look_up(PROFILE_OPTION, path) is None:
        raise InvalidInputError(
            PROFILE_OPTION,
            name,
            f"{', '.join(shipped)}, or the path of a YAML file",
            hint=nearest(name, shipped),
        )
    return read_yaml(InputFile(PROFILE_OPTION, path, "a profile in YAML"))


def _value_of(model: type[BaseModel], key: str, text: str) -> object:
    """Return the value in KEY=VALUE: YAML in brackets or quotes, or else a plain scalar.

    A key whose value is text gets it as typed.
    """
    is_text = model.model_fields[key].annotation in (str, str | None)
    try:
        if text.startswith(("'", '"') if is_text else _YAML_BEGINS):
            return parse_yaml(text).content
        plain = parse_scalar(text)
    except YamlError as error:
        raise InvalidInputError(
            SET_OPTION, f"{key}={text}", "a YAML value", hint=error.problem
        ) from error
    return text if is_text and plain is not None else plain


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
        problems = "; ".join(
            _describe(
                model, document, problem["loc"], problem["type"], problem["msg"], problem["input"]
            )
            for problem in error.errors()
        )
        raise InvalidInputError(
            source, given, "values of the type and within the limits of their keys", hint=problems
        ) from error


def _describe(
    model: type[BaseModel],
    document: Document | None,
    path: tuple[str | int, ...],
    kind: str,
    message: str,
    given: object,
) -> str:
    where = ".".join(str(part) for part in path)
    line = None if document is None else document.line_of(path)
    place = where if line is None else f"line {line}, {where}"
    if kind == "extra_forbidden":
        hint = nearest(str(path[-1]), model.model_fields)
        return f"{place}: unknown key. {hint}".rstrip()
    return f"{place}: {message} (got {shortened(repr(given))})".removeprefix(": ")
