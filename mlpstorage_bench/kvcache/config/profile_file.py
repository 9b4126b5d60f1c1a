"""Profiles: loading, overrides, and the schema, with all errors reported together.

A profile is a YAML file with values common to all its options, and the options themselves. Keys
are the reference's parameter names, if it has the parameter.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.kvcache.config.models import Geometry
from mlpstorage_bench.kvcache.config.workload import (
    SYNONYMS,
    NotNegative,
    Strict,
    Workload,
    canonical,
)
from mlpstorage_bench.paths import check_path_component

PROFILE_OPTION = "--mlps-profile"
SET_OPTION = "--mlps-set"


class Profile(Strict):
    """A named set of options, and the number of their trials."""

    name: str
    description: str = ""
    comparable: bool = False
    """Whether results are comparable with MLPerf's."""
    model: str
    """Model name in the path of results."""
    models: dict[str, Geometry] = Field(default_factory=dict)
    """Models that the profile defines, by name; they take precedence over MODELS."""
    seed: int = Field(default=42, ge=0, lt=2**63)
    """Seed of rank 0; other ranks add their number."""
    trials: int = Field(default=3, ge=1, le=1000)
    scenario_trials: int | None = Field(default=None, ge=1, le=1000)
    """Trials of tests marked mlps_scenario; None: `trials`."""
    delay_between_options: NotNegative = 0.0
    """Pause between two options, in seconds."""
    gate: dict[str, str] = Field(default_factory=dict)
    """Gate rules: METRIC or CASE/METRIC → -10%, >= 3 GiB/s, off (docs/gate.md)."""
    options: dict[str, Workload] = Field(min_length=1)

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
    content = _read(name)
    profile = _validated(content, PROFILE_OPTION, name)
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


def _read(name: str) -> dict[str, Any]:
    shipped = shipped_profiles()
    if name in shipped:
        text = shipped[name]
    else:
        path = Path(name)
        if path.suffix not in (".yaml", ".yml") and not path.is_file():
            raise InvalidInputError(
                PROFILE_OPTION,
                name,
                f"{', '.join(shipped)}, or the path of a YAML file",
                hint=nearest(name, shipped),
            )
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(
                PROFILE_OPTION, name, "a YAML file that can be read", hint=str(error)
            ) from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(PROFILE_OPTION, name, "valid YAML", hint=str(error)) from error
    if not isinstance(content, dict):
        raise InvalidInputError(PROFILE_OPTION, name, "a YAML mapping of parameters")
    return _spread_common_values(name, content)


def _spread_common_values(name: str, content: dict[Any, Any]) -> dict[str, Any]:
    """Copy the values common to all options into each option that does not set them."""
    profile = canonical({str(key): value for key, value in content.items()})
    common = {key: profile.pop(key) for key in _WORKLOAD_KEYS & (profile.keys() - {"model"})}
    if "model" in profile:
        common["model"] = profile["model"]
    for key in profile.keys() - _PROFILE_KEYS - {"model"}:
        raise _unknown_key(f"{PROFILE_OPTION} {name}", key)
    options = profile.get("options")
    if not isinstance(options, dict) or not all(isinstance(o, dict) for o in options.values()):
        raise InvalidInputError(
            f"{PROFILE_OPTION} {name}", options, "options: a mapping of names to parameters"
        )
    for key, option in options.items():
        if "geometry" in option:
            raise _unknown_key(f"{PROFILE_OPTION} {name}", f"options.{key}.geometry")
    profile["options"] = {
        check_path_component(f"{PROFILE_OPTION} {name}: options", str(key)): {
            **common,
            **canonical(option),
        }
        for key, option in options.items()
    }
    return profile


def _override(content: dict[str, Any], key: str, text: str) -> None:
    """Apply one KEY=VALUE to the profile, to every option, or to one (`options.NAME.KEY`)."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(SET_OPTION, f"{key}={text}", "a YAML value") from error
    options: dict[str, dict[str, Any]] = content["options"]
    first, _, rest = key.partition(".")
    key = SYNONYMS.get(key, key)
    if first == "options" and rest:
        option, _, parameter = rest.partition(".")
        parameter = SYNONYMS.get(parameter, parameter)
        if option not in options:
            raise InvalidInputError(
                SET_OPTION,
                f"{key}={text}",
                f"options of this profile: {', '.join(options)}",
                hint=nearest(option, options),
            )
        if parameter not in _WORKLOAD_KEYS:
            raise _unknown_key(SET_OPTION, key, parameter, _WORKLOAD_KEYS)
        options[option][parameter] = value
    elif key in _WORKLOAD_KEYS:
        for option_values in options.values():
            option_values[key] = copy.deepcopy(value)
        if key == "model":
            content["model"] = value
    elif key in _PROFILE_KEYS - {"options", "name", "comparable"}:
        content[key] = value
    else:
        raise _unknown_key(SET_OPTION, key)


def _unknown_key(
    source: str, key: str, name: str | None = None, known: Iterable[str] = ()
) -> InvalidInputError:
    names = sorted(known or _WORKLOAD_KEYS | _PROFILE_KEYS - {"options", "name", "comparable"})
    hint = nearest(key if name is None else name, names)
    return InvalidInputError(source, key, f"one of {', '.join(names)}", hint=hint)


def _validated(content: Mapping[str, Any], source: str, given: str) -> Profile:
    try:
        return Profile.model_validate(_with_geometries(content))
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
        raise InvalidInputError(
            source, given, "values within the profile's schema", hint=problems
        ) from error


def _with_geometries(content: Mapping[str, Any]) -> dict[str, Any]:
    """Add the geometry to each option whose model the profile defines."""
    own = content.get("models")
    if not isinstance(own, dict):
        return dict(content)
    options = {
        name: {**option, "geometry": own.get(option.get("model"))}
        for name, option in content["options"].items()
    }
    return {**content, "options": options}


def _describe(problem: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])
        return f"{where}: unknown key. {nearest(key, _WORKLOAD_KEYS | _PROFILE_KEYS)}".rstrip()
    return f"{where}: {problem['msg']} (got {problem['input']!r})"
