"""Errors that users see: each states the problem, its place, the accepted values and a remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, Self, TypeVar

from mlpstorage_bench.escaping import for_terminal_lines, shortened


class MlpsError(Exception):
    """Base of all errors that this package explains; the text is complete for the user."""

    def with_place(self, place: str) -> Self:
        """Return the same error with a place (`rank 3 on node-b`) before its text.

        Notes, attributes, cause and traceback are kept.
        """
        located = _rebuild(type(self), (f"{place}: {self}",), vars(self))
        located.__cause__ = self.__cause__
        return located.with_traceback(self.__traceback__)

    def __reduce__(self) -> tuple[object, ...]:
        """Make errors picklable for other ranks: rebuilt from the text, not from its parts."""
        return _rebuild, (type(self), self.args, vars(self))


ErrorT = TypeVar("ErrorT", bound=MlpsError)


def _rebuild(kind: type[ErrorT], args: tuple[str, ...], state: Mapping[str, object]) -> ErrorT:
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    notes = getattr(error, "__notes__", None)
    if notes is not None:
        error.__notes__ = [*notes]  # add_note changes the list in place
    return error


class InvalidInputError(MlpsError):
    """A value from the command line, the environment or an input file cannot be used.

    `source` is the option, variable or file, and `given` its value.
    """

    def __init__(self, source: str, given: object, accepted: str, *, hint: str = "") -> None:
        self.source = source
        self.given = given
        self._rest = f"accepted: {accepted}. {hint}" if hint else f"accepted: {accepted}"
        super().__init__(self._text(given))

    def _text(self, given: object) -> str:
        return for_terminal_lines(f"{self.source}: got {shortened(repr(given))}; {self._rest}")

    def with_given(self, given: object) -> Self:
        """Return the same error of another value, such as the whole of which it had a part."""
        changed = _rebuild(type(self), (self._text(given),), {**vars(self), "given": given})
        changed.__cause__ = self.__cause__
        return changed.with_traceback(self.__traceback__)


class NamedFile(Protocol):
    """A file that an option or a parameter names."""

    @property
    def option(self) -> str:
        """The option or parameter."""
        ...

    @property
    def path(self) -> Path:
        """The file's path."""
        ...

    @property
    def accepted(self) -> str:
        """The accepted files, as messages have it."""
        ...


class InvalidFileError(InvalidInputError):
    """A user's file cannot be used; the text names option, file, line and field."""

    problem: str
    """The reason, with line and field, without the option and the file."""

    @classmethod
    def of(cls, file: NamedFile, problem: str, *, line: int | None = None, field: str = "") -> Self:
        """Return the error of a file; `line` counts from 1."""
        places = [*([] if line is None else [f"line {line}"]), *([field] if field else [])]
        error = cls(file.option, ", ".join([str(file.path), *places]), file.accepted, hint=problem)
        error.problem = for_terminal_lines(": ".join([*places, problem]))
        return error


class StorageError(MlpsError):
    """An I/O operation failed; the text names the file and the system's error message."""

    def __init__(self, action: str, path: str, cause: str, *, hint: str = "") -> None:
        text = f"{action} {path} failed: {cause}"
        super().__init__(f"{text}. {hint}" if hint else text)


class CorruptDataError(StorageError):
    """Data that was read differs from the data that was written there."""


class CorruptReadsError(MlpsError):
    """Reads of a trial found other data than was written; the trial's figures are kept."""


class CapacityError(MlpsError):
    """Data does not fit a tier, or a run does not fit the storage or memory."""


class ResultsError(MlpsError):
    """Results could not be written."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(
            f"results cannot be written: {path}: {cause}. Free space or make the directory "
            "writable, or choose another with --mlps-results-dir"
        )


class SloError(MlpsError):
    """Requests missed the latency objectives of their class; the results are kept."""


class UntouchedStorageError(MlpsError):
    """A run in mode closed did not use the storage tier: only memory was measured."""


class EmptyWindowError(MlpsError):
    """The measurement window closed without any measured operation."""


class NotMeasuredError(MlpsError):
    """A test asked for a value that its run could not measure."""


class DifferentSourcesError(MlpsError):
    """Hosts have different versions of files that have to be the same on all of them."""


class PeerError(MlpsError):
    """Another rank failed or ended while this rank waits for it; that rank reports the cause."""


class LaunchError(MlpsError):
    """The ranks could not be started, or did not finish, as one session."""


def nearest(name: object, known: Iterable[str]) -> str:
    """Return the hint 'did you mean …?' for the known name closest to a user's value, or ''."""
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else ""
