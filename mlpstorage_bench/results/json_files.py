"""JSON in files: read within limits, whoever wrote it, and written for every reader."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

from pydantic_core import from_json, to_jsonable_python

MOST_BYTES = 256 << 20
"""Largest file that is read: a thousand times the metadata of a large run."""
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_ESCAPED = re.compile(r"\\(?:ud[89ab]..\\ud[c-f]..|(ud[89a-f]..)|.)")
"""An escaped character of JSON; the group is half of a character without the other half."""


class NoJsonError(Exception):
    """A file is not JSON, or cannot be read; the text is the reason."""


def read_json(path: Path) -> object:
    """Return the content of a JSON file; NoJsonError if it is another file or cannot be read."""
    try:
        content = _read(path)
    except OSError as error:
        raise NoJsonError(error.strerror or str(error)) from error
    return parse_json(content)


def parse_json(content: bytes) -> object:
    """Return what JSON holds; NoJsonError if it is not JSON, or is nested more than 200 deep."""
    try:
        parsed: object = from_json(content)
    except ValueError as error:
        raise NoJsonError(f"no JSON ({error})") from error
    return parsed


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


def _read(path: Path) -> bytes:
    """Return a regular file's content; NoJsonError if it is another file or too large."""
    _check(os.stat(path))  # noqa: PTH116 - before it is opened, which may act on a device
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _check(status)
        return file.read(status.st_size)


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise NoJsonError(f"no regular file, but {kind}")
    if status.st_size > MOST_BYTES:
        raise NoJsonError(f"larger than {MOST_BYTES >> 20} MiB")
