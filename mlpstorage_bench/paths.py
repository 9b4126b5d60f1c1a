"""Names and paths from users: path components, file names, inputs and outputs.

An existing file is overwritten only if an earlier run wrote it, as its beginning shows, or if it is
empty. Files are compared by device and inode, so that links do not hide that two are one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import xxhash

from mlpstorage_bench.errors import InvalidInputError

CACHE_DIR_OPTION = "--mlps-cache-dir"
"""Names the directory on the storage to be measured."""
TEMPORARY = re.compile(r"\.mlps-[0-9a-f]{16}\.tmp")
"""The whole name of a file or directory that is being written."""
_COMPONENT = re.compile(r"[A-Za-z0-9._-]+")
_ACCEPTED = "a new file, or one that an earlier run has written"
_Identity = tuple[int, int] | str
"""Device and inode of a file; the path of one that does not exist yet, without links."""


def look_up(option: str, path: Path) -> os.stat_result | None:
    """Return the status of a user's path, links followed; None if nothing is there.

    InvalidInputError if the system refuses to look: a name that is too long or has a NUL character,
    a directory of another user, a loop of links.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInputError(
            option, str(path), "a path that can be looked up", hint=reason
        ) from error


def is_file(option: str, path: Path) -> bool:
    """Return whether a user's path leads to a regular file; InvalidInputError as `look_up`."""
    status = look_up(option, path)
    return status is not None and stat.S_ISREG(status.st_mode)


def is_directory(option: str, path: Path) -> bool:
    """Return whether a user's path leads to a directory; InvalidInputError as `look_up`."""
    status = look_up(option, path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def existing_part(option: str, path: Path) -> Path:
    """Return a user's path, or its nearest parent that exists; InvalidInputError as `look_up`."""
    return next(part for part in (path, *path.parents) if look_up(option, part) is not None)


def check_path_component(source: str, value: str) -> str:
    """Return the value if it is a valid directory name; else raise InvalidInputError."""
    if not _COMPONENT.fullmatch(value) or value in {".", ".."}:
        raise InvalidInputError(
            source, value, "letters, digits, '.', '_' and '-', and neither '.' nor '..'"
        )
    return value


def slugify(text: str) -> str:
    """Return the text with characters that a directory name may not have replaced by '-'."""
    component = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-")
    return component or "unnamed"


def digest_name(text: str) -> str:
    """Return a file name for any text, also one that is a path: 32 hexadecimal digits (XXH3)."""
    return xxhash.xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))


def fingerprint(parts: object) -> str:
    """Return a digest of JSON data, independent of the order of keys: XXH3, 128 bits, in hex."""
    return xxhash.xxh3_128_hexdigest(json.dumps(parts, sort_keys=True).encode())


def temporary_name(key: str | None = None) -> str:
    """Return a name for a file or directory while it is written: one for each key, else a new one.

    It is renamed when it is complete; one that a killed process has left is no result to any
    reader.
    """
    digits = secrets.token_hex(8) if key is None else hashlib.sha256(key.encode()).hexdigest()[:16]
    return f".mlps-{digits}.tmp"


@dataclass(frozen=True)
class InputFile:
    """A file that a session reads."""

    option: str
    """The option or parameter that names it."""
    path: Path
    accepted: str = "a file that can be read"
    """The accepted files, as messages have it."""


@dataclass(frozen=True)
class OutputFile:
    """A file that a session writes."""

    option: str
    """The option or parameter that names it."""
    path: Path
    is_ours: Callable[[Path], bool]
    """Tells whether a file that exists was written by an earlier run."""
    is_replaced: bool = False
    """Whether a new file takes its place, so that readers see the old file or the new one."""


@dataclass(frozen=True)
class ForeignOutput:
    """A file that another program writes in this session, such as pytest's own report."""

    option: str
    """The option that names it."""
    path: Path


def check_outputs(
    outputs: Sequence[OutputFile],
    inputs: Sequence[InputFile],
    beside: Sequence[ForeignOutput] = (),
) -> None:
    """Raise InvalidInputError for an output that is an input, another output or a foreign file.

    Outputs of other programs, those `beside` ours, may replace any file but these.
    """
    read = {_identity_of_input(file.path): file for file in inputs}
    written: dict[_Identity, OutputFile | ForeignOutput] = {}
    for foreign in beside:
        identity = _identity_of_foreign(foreign.path)
        _check_is_not_read(foreign, read.get(identity))
        written[identity] = foreign
    for output in outputs:
        status = _status(output)
        identity = _identity(output.path, status)
        _check_is_not_read(output, read.get(identity))
        other = written.setdefault(identity, output)
        if (other.option, other.path) != (output.option, output.path):
            raise _refusal(output, f"{other.option} writes the same file ({other.path})")
        if status is not None:
            _check_owner(output, status)
        if status is None or output.is_replaced:
            _check_directory(output)
        elif not os.access(output.path, os.W_OK):
            raise _refusal(output, "It cannot be written")


def open_output(output: OutputFile) -> BinaryIO:
    """Open an empty file for output; InvalidInputError if it is foreign or cannot be opened."""
    try:
        return _open(output)
    except OSError as error:
        raise InvalidInputError(
            output.option, str(output.path), "a file that can be written", hint=str(error)
        ) from error


def starts_with(beginning: bytes) -> Callable[[Path], bool]:
    """Return what tells whether a file begins so."""

    def is_ours(path: Path) -> bool:
        with path.open("rb") as file:
            return file.read(len(beginning)) == beginning

    return is_ours


def _open(output: OutputFile) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CLOEXEC
    try:
        descriptor = os.open(output.path, flags | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        _check_link(output)
        descriptor = os.open(output.path, flags | os.O_NONBLOCK)  # never waits, as for a pipe
    try:
        _check_owner(output, os.fstat(descriptor))
        os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "wb")


def _status(output: OutputFile) -> os.stat_result | None:
    """Return the system's status of a file; None if there is none."""
    try:
        _check_link(output)
        return output.path.stat()
    except FileNotFoundError:
        if output.path.is_symlink():
            raise _refusal(output, "It is a link to a file that does not exist") from None
        return None
    except (OSError, ValueError) as error:
        raise _refusal(output, str(error)) from error


def foreign_link_owner(path: Path) -> int | None:
    """Return the other user who made a link in a directory of a third one; None for other paths.

    Where many may write, such a link may lead anywhere.
    """
    if not path.is_symlink():
        return None
    owner, directory = path.lstat().st_uid, path.parent.stat().st_uid
    return None if owner in (os.geteuid(), directory) else owner


def _check_link(output: OutputFile) -> None:
    owner = foreign_link_owner(output.path)
    if owner is not None:
        raise _refusal(output, f"It is a link that another user ({owner}) has made")


def _identity(path: Path, status: os.stat_result | None) -> _Identity:
    return os.path.realpath(path) if status is None else (status.st_dev, status.st_ino)


def _identity_of_input(path: Path) -> _Identity:
    try:
        return _identity(path, path.stat())
    except (OSError, ValueError):  # its reader reports the error
        return str(path)


def _identity_of_foreign(path: Path) -> _Identity:
    try:
        return _identity(path, path.stat())
    except OSError:
        return os.path.realpath(path)


def _check_is_not_read(output: OutputFile | ForeignOutput, read: InputFile | None) -> None:
    if read is not None:
        raise _refusal(output, f"It is the file of {read.option} ({read.path}), which is read")


def _check_directory(output: OutputFile) -> None:
    """Check that files can be made in the output's directory."""
    parent = output.path.parent
    if not is_directory(output.option, parent):
        raise _refusal(output, f"{parent} is no directory")
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise _refusal(output, f"No file can be made in {parent}: {error.strerror}") from error


def _check_owner(output: OutputFile, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _refusal(output, "It exists, and is no regular file")
    try:
        is_ours = status.st_size == 0 or output.is_ours(output.path)
    except OSError as error:
        raise _refusal(output, str(error)) from error
    if not is_ours:
        raise _refusal(
            output,
            "This file exists, and no run of mlpstorage_bench has written it: remove it, or choose "
            "another name",
        )


def _refusal(output: OutputFile | ForeignOutput, hint: str) -> InvalidInputError:
    return InvalidInputError(output.option, str(output.path), _ACCEPTED, hint=hint)
