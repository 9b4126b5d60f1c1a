"""Profiles: loading, overrides, and the schema, with all errors reported together.

A profile is a YAML file with values common to all its workloads, and the workloads themselves.
Keys are the reference's parameter names, if it has the parameter.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.escaping import shortened
from mlpstorage_bench.inputs.yaml_files import (
    Document,
    YamlError,
    parse_scalar,
    parse_yaml,
    read_yaml,
)
from mlpstorage_bench.kvcache.config.models import Geometry
from mlpstorage_bench.kvcache.config.quantities import Seconds
from mlpstorage_bench.kvcache.config.workload import (
    SYNONYMS,
    Strict,
    Workload,
    canonical,
)
from mlpstorage_bench.paths import InputFile, check_path_component, look_up

PROFILE_OPTION = "--mlps-profile"
SET_OPTION = "--mlps-set"

_SYNONYMS = {
    **SYNONYMS,
    "options": "workloads",
    "delay_between_options": "delay_between_workloads",
}
"""Another accepted name of a profile's key → its own name. MLPerf calls a workload "option"."""


class Profile(Strict):
    """A named set of workloads, and the number of their trials."""

    name: str
    """Name of the profile in results."""
    description: str = ""
    """Content of the profile, for readers."""
    comparable: bool = False
    """Whether results are comparable with MLPerf's."""
    model: str
    """Model name in the path of results."""
    models: dict[str, Geometry] = Field(default_factory=dict)
    """Models that the profile defines, by name; they take precedence over the package's."""
    seed: int = Field(default=42, ge=0, lt=2**63)
    """Seed of rank 0; other ranks add their number."""
    trials: int = Field(default=3, ge=1, le=1000)
    """Timed repetitions of each test."""
    scenario_trials: int | None = Field(default=None, ge=1, le=1000)
    """Trials of tests marked `mlps_scenario`; None: `trials`."""
    delay_before_trial: Seconds = 0.0
    """Pause before each trial, in seconds; then the cache is emptied."""
    delay_after_trial: Seconds = 0.0
    """Pause after each trial, in seconds; its entries stay on storage."""
    delay_between_workloads: Seconds = 0.0
    """Another pause between two workloads, in seconds."""
    gate: dict[str, str] = Field(default_factory=dict)
    """Rules of the gate by METRIC or CASE/METRIC, such as -10%, >= 3 GiB/s or off."""
    workloads: dict[str, Workload] = Field(min_length=1)
    """Workloads by name."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        return check_path_component("name", value)

    @field_validator("model")
    @classmethod
    def _check_model(cls, value: str) -> str:
        return check_path_component("model", value)


_PROFILE_KEYS = frozenset(Profile.model_fields) - {"model"}
_WORKLOAD_KEYS = frozenset(Workload.model_fields) - {"geometry"}
_FIXED_KEYS = frozenset({"workloads", "name", "comparable"})
"""Keys of a profile that the command line cannot set."""
_TEXT_KEYS = frozenset(
    name
    for name, field in (Profile.model_fields | Workload.model_fields).items()
    if field.annotation in (str, str | None)
)
"""Keys whose values are text: paths and titles."""
_WRITTEN: Mapping[str | int, tuple[str, ...]] = {
    own: tuple(alias for alias, name in _SYNONYMS.items() if name == own)
    for own in _SYNONYMS.values()
}
"""A key's own name → its other names."""


def shipped_profiles() -> dict[str, str]:
    """Return the profiles in the package: name → YAML text."""
    folder = resources.files("mlpstorage_bench.kvcache.config") / "profiles"
    return {
        item.name.removesuffix(".yaml"): item.read_text(encoding="utf-8")
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".yaml")
    }


def load_profile(
    name: str,
    overrides: Iterable[tuple[str, str]] = (),
    *,
    seed: int | None = None,
    trials: int | None = None,
) -> Profile:
    """Load a profile by name or path, and apply the user's settings."""
    document = _read(name)
    if not isinstance(document.content, dict):
        raise InvalidInputError(PROFILE_OPTION, name, "a YAML mapping of parameters")
    content = _spread_common_values(name, document.content)
    profile = _validated(content, PROFILE_OPTION, name, document)
    assignments = list(overrides)
    for key, text in assignments:
        _override(content, key, text)
    if seed is not None:
        content["seed"] = seed
    if trials is not None:
        content["trials"] = trials
    if assignments or seed is not None or trials is not None:
        given = ", ".join(f"{key}={text}" for key, text in assignments)
        profile = _validated(content, SET_OPTION, given)
    return profile


def _read(name: str) -> Document:
    shipped = shipped_profiles()
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


def _spread_common_values(name: str, content: dict[str, Any]) -> dict[str, Any]:
    """Copy the values common to all workloads into each workload that does not set them."""
    source = f"{PROFILE_OPTION} {name}"
    profile = canonical(source, content, _SYNONYMS)
    common = {key: profile.pop(key) for key in _WORKLOAD_KEYS & (profile.keys() - {"model"})}
    if "model" in profile:
        common["model"] = profile["model"]
    for key in profile.keys() - _PROFILE_KEYS - {"model"}:
        raise _unknown_key(source, key)
    workloads = profile.get("workloads")
    if not isinstance(workloads, dict) or not all(isinstance(w, dict) for w in workloads.values()):
        raise InvalidInputError(source, workloads, "workloads: a mapping of names to parameters")
    for key, workload in workloads.items():
        if "geometry" in workload:
            raise _unknown_key(source, f"workloads.{key}.geometry")
    profile["workloads"] = {
        check_path_component(f"{source}: workloads", key): {
            **common,
            **canonical(f"{source}: workloads.{key}", workload),
        }
        for key, workload in workloads.items()
    }
    return profile


def split_path(path: str) -> tuple[str | None, str]:
    """Split a dotted path into a workload's name and a key; for a common key the name is None.

    The key gets its own name if the path has a synonym: `options.1.lanes` is the workload `1`
    and the key `max_concurrent_allocs`.
    """
    first, _, rest = path.partition(".")
    if rest and _SYNONYMS.get(first, first) == "workloads":
        workload, _, key = rest.partition(".")
        return workload, SYNONYMS.get(key, key)
    return None, _SYNONYMS.get(path, path)


def _override(content: dict[str, Any], path: str, text: str) -> None:
    """Apply one KEY=VALUE to the profile, to every workload, or to one (`workloads.NAME.KEY`)."""
    workload, key = split_path(path)
    value = _value_of(path, key, text)
    workloads: dict[str, dict[str, Any]] = content["workloads"]
    if workload is not None:
        if workload not in workloads:
            raise InvalidInputError(
                SET_OPTION,
                f"{path}={text}",
                f"workloads of this profile: {', '.join(workloads)}",
                hint=nearest(workload, workloads),
            )
        if key not in _WORKLOAD_KEYS:
            raise _unknown_key(SET_OPTION, path, key, _WORKLOAD_KEYS)
        workloads[workload][key] = value
    elif key in _WORKLOAD_KEYS:
        for parameters in workloads.values():
            parameters[key] = copy.deepcopy(value)
        if key == "model":
            content["model"] = value
    elif key in _PROFILE_KEYS - _FIXED_KEYS:
        content[key] = value
    else:
        raise _unknown_key(SET_OPTION, path)


def _value_of(path: str, key: str, text: str) -> Any:
    """Return the value in KEY=VALUE.

    A value in brackets, braces or quotes is YAML. Any other is a plain scalar, whose `#` and `:`
    are no syntax; a parameter that is text gets it as typed.
    """
    is_text = key in _TEXT_KEYS
    try:
        if text.startswith(("'", '"') if is_text else ("'", '"', "[", "{", "!")):
            return parse_yaml(text).content
        plain = parse_scalar(text)
    except YamlError as error:
        raise InvalidInputError(
            SET_OPTION, f"{path}={text}", "a YAML value", hint=error.problem
        ) from error
    return text if is_text and plain is not None else plain


def _unknown_key(
    source: str, key: str, name: str | None = None, known: Iterable[str] = ()
) -> InvalidInputError:
    names = sorted(known or _WORKLOAD_KEYS | _PROFILE_KEYS - _FIXED_KEYS)
    hint = nearest(key if name is None else name, [*names, *SYNONYMS])
    return InvalidInputError(source, key, f"one of {', '.join(names)}", hint=hint)


def _validated(
    content: Mapping[str, Any], source: str, given: str, document: Document | None = None
) -> Profile:
    try:
        return Profile.model_validate(_with_geometries(content))
    except ValidationError as error:
        problems = "; ".join(_descriptions(error, document))
        raise InvalidInputError(
            source, given, "values of the type and within the limits of their keys", hint=problems
        ) from error


def _descriptions(error: ValidationError, document: Document | None) -> Iterator[str]:
    """Yield each problem once: a value that is set for all workloads is wrong in each."""
    equal: dict[tuple[object, ...], list[str]] = {}
    for problem in error.errors():
        path = problem["loc"]
        of_workload = path[:1] == ("workloads",)
        key = (of_workload, path[2:] if of_workload else path, problem["msg"])
        equal.setdefault((*key, repr(problem["input"])), []).append(_describe(problem, document))
    for first, *others in equal.values():
        more = f" (so in {len(others)} more workload{'s' * (len(others) > 1)})" if others else ""
        yield f"{first}{more}"


def _with_geometries(content: Mapping[str, Any]) -> dict[str, Any]:
    """Add the geometry to each workload whose model the profile defines."""
    own = content.get("models")
    if not isinstance(own, dict):
        return dict(content)
    workloads = {
        name: {**workload, "geometry": own.get(workload.get("model"))}
        for name, workload in content["workloads"].items()
    }
    return {**content, "workloads": workloads}


def _describe(problem: Mapping[str, Any], document: Document | None) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    line = None if document is None else _line_of(problem["loc"], document)
    place = where if line is None else f"line {line}, {where}"
    if problem["type"] == "extra_forbidden":
        hint = nearest(str(problem["loc"][-1]), [*_WORKLOAD_KEYS, *_PROFILE_KEYS, *SYNONYMS])
        return f"{place}: unknown key. {hint}".rstrip()
    return f"{place}: {problem['msg']} (got {shortened(repr(problem['input']))})"


def _line_of(path: Sequence[str | int], document: Document) -> int | None:
    """Return the line of a value under one of its names; a common value stands at the top."""
    at_the_top = [path[2:]] if path[:1] == ("workloads",) else []
    for possible in (path, *at_the_top):
        for written in itertools.product(*([part, *_WRITTEN.get(part, ())] for part in possible)):
            line = document.lines.get(written)
            if line is not None and written:
                return line
    return document.line_of(path)
