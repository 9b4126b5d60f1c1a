"""JSON of runs: read within limits, whoever wrote it, and written for every reader."""

from __future__ import annotations

import json
import re

from pydantic_core import from_json, to_jsonable_python

from mlpstorage_bench.errors import InvalidFileError
from mlpstorage_bench.inputs.files import open_bytes
from mlpstorage_bench.paths import InputFile

MOST_BYTES = 256 << 20
"""Largest file that is read: a thousand times the metadata of a large run."""
MOST_BYTES_OF_USERS = 16 << 20
"""Largest value of a user that a run's files take."""
_LEVELS_AROUND = 20
"""More than a run's files have around a value of a user."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ESCAPED = re.compile(r"\\(?:ud[89ab]..\\ud[c-f]..|(ud[89a-f]..)|.)")
"""An escaped character of JSON; the group is half of a character without the other half."""


def read_json(file: InputFile) -> object:
    """Return the content of a JSON file, nested at most 200 deep; InvalidFileError otherwise."""
    with open_bytes(file, MOST_BYTES) as stream:
        try:
            content = stream.read()
        except OSError as error:
            raise InvalidFileError.of(file, error.strerror or str(error)) from error
    try:
        return parse_json(content)
    except ValueError as error:
        raise InvalidFileError.of(file, f"It is no JSON: {error}") from error


def parse_json(content: bytes) -> object:
    """Return the value of JSON text; ValueError if it is none or is nested too deeply."""
    parsed: object = from_json(content.removeprefix(_BYTE_ORDER_MARK))
    return parsed


def copied_json(value: object) -> object:
    """Return a copy of a user's value as JSON; TypeError or ValueError if files cannot have it.

    A run whose files are nested too deeply, or are too large, could not be read any more.
    """
    try:
        text = json.dumps(value, allow_nan=False)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if len(text) > MOST_BYTES_OF_USERS:
        raise ValueError(f"it is larger than {MOST_BYTES_OF_USERS >> 20} MiB")
    content = _ESCAPED.sub(_whole, text).encode() if "\\ud" in text else text.encode()
    parse_json(b"[" * _LEVELS_AROUND + content + b"]" * _LEVELS_AROUND)
    return parse_json(content)


def json_text(content: object) -> str:
    """Return JSON of several lines, in ASCII, with null for a number that is not finite."""
    try:
        text = json.dumps(content, indent=2, allow_nan=False)
    except ValueError:
        finite = to_jsonable_python(content, inf_nan_mode="null")
        text = json.dumps(finite, indent=2, allow_nan=False)
    return f"{_ESCAPED.sub(_whole, text)}\n" if "\\ud" in text else f"{text}\n"


def _whole(escaped: re.Match[str]) -> str:
    """Return an escaped character; the replacement character for half of one."""
    return escaped[0] if escaped[1] is None else "\\ufffd"
