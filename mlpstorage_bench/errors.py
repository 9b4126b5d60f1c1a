"""Errors that users see: each says what, where, what was seen and accepted, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Self, TypeVar


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

    `source` is the option, variable or file at fault, `given` what was seen there.
    """

    def __init__(self, source: str, given: object, accepted: str, *, hint: str = "") -> None:
        self.source = source
        text = f"{source}: got {given!r}; accepted: {accepted}"
        super().__init__(f"{text}. {hint}" if hint else text)


class StorageError(MlpsError):
    """An I/O operation failed; names the file and what the system said about it."""

    def __init__(self, action: str, path: str, cause: str, *, hint: str = "") -> None:
        text = f"{action} {path} failed: {cause}"
        super().__init__(f"{text}. {hint}" if hint else text)


class CorruptDataError(StorageError):
    """Data read back is not what was written there."""


class CorruptReadsError(MlpsError):
    """Reads of a trial found other data than was written; the trial's figures are kept."""


class CapacityError(MlpsError):
    """An entry does not fit the tier that has to take it."""


class ResultsError(MlpsError):
    """Results could not be written."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(
            f"results cannot be written: {path}: {cause}. Free space or make the directory "
            "writable, or choose another with --mlps-results-dir"
        )


class SloError(MlpsError):
    """Requests took longer than was promised to their class; the figures are kept."""


class UntouchedStorageError(MlpsError):
    """A run that counts left the storage tier untouched: memory alone was measured."""


class EmptyWindowError(MlpsError):
    """The measurement window closed without anything to report."""


class DifferentSourcesError(MlpsError):
    """Hosts have different versions of what has to be the same on all of them."""


class PeerError(MlpsError):
    """Another rank left the place where this rank waits for it; the cause is that rank's."""


class LaunchError(MlpsError):
    """The ranks could not be started, or did not finish, as one session."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the hint 'did you mean …?' for the known name closest to `name`, or ''."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else ""
