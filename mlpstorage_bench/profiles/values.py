"""Profiles and values as users write them: names, files, and KEY=VALUE."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from mlpstorage_bench.errors import InvalidInputError, nearest
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


def shipped_in(package: str) -> dict[str, str]:
    """Return the profiles in the directory `profiles` of a package: name → YAML text."""
    folder = resources.files(package) / "profiles"
    return {
        item.name.removesuffix(".yaml"): item.read_text(encoding="utf-8")
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".yaml")
    }


def read_profile(shipped: Mapping[str, str], name: str) -> Document:
    """Return the profile of a name, shipped or a file."""
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


def value_of(path: str, text: str, *, is_text: bool) -> Any:
    """Return the value in KEY=VALUE, where `path` is the key.

    A value in brackets, braces or quotes is YAML. Any other is a plain scalar, whose `#` and `:`
    are no syntax; a parameter that is text gets it as typed.
    """
    try:
        if text.startswith(("'", '"') if is_text else ("'", '"', "[", "{", "!")):
            return parse_yaml(text).content
        plain = parse_scalar(text)
    except YamlError as error:
        raise InvalidInputError(
            SET_OPTION, f"{path}={text}", "a YAML value", hint=error.problem
        ) from error
    return text if is_text and plain is not None else plain
