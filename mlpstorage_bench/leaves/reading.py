"""Reads a file of a tree that others wrote; a file that cannot be read is a finding, no error."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.errors import InvalidFileError
from mlpstorage_bench.inputs import files as input_files
from mlpstorage_bench.inputs import yaml_files
from mlpstorage_bench.inputs.json_files import no_json
from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.paths import InputFile

_SOURCE = "results"
MOST_BYTES = 64 << 20
"""Largest file that is read: published metadata has up to 1 MB, rank files up to 2 MB."""
_MOST_POINTER_BYTES = 4096


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be read, with the cause."""

    cause: str


def read_pointer(path: Path) -> str | Unreadable:
    """Return the text of a small file."""
    try:
        return input_files.read_text(InputFile(_SOURCE, path), _MOST_POINTER_BYTES)
    except InvalidFileError as error:
        return _unreadable(path, error)


def read_json(path: Path) -> Document | Unreadable:
    """Return the content of a JSON file."""
    try:
        text = input_files.read_text(InputFile(_SOURCE, path), MOST_BYTES)
    except InvalidFileError as error:
        return _unreadable(path, error)
    try:
        return Document(json.loads(text), path)
    except (ValueError, RecursionError) as error:
        return Unreadable(f"{path.name}: {no_json(error)}")


def read_yaml(path: Path) -> Document | Unreadable:
    """Return the content of a YAML file."""
    try:
        read = yaml_files.read_yaml(InputFile(_SOURCE, path))
    except InvalidFileError as error:
        return _unreadable(path, error)
    return Document(read.content, path, read.line_of)


def _unreadable(path: Path, error: InvalidFileError) -> Unreadable:
    return Unreadable(f"{path.name}: {error.problem}")
