"""What users see when something is wrong: what, where, seen, expected, and the next step."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class MlpsError(Exception):
    """Any error that this package explains itself; its text is complete for the user."""

    place = ""
    """Which rank on which host met it, where that is not all of them."""

    def __str__(self) -> str:
        """Return the text, with the place before it."""
        text = super().__str__()
        return f"{self.place}: {text}" if self.place else text

    def __reduce__(self) -> tuple[Any, ...]:
        """Let an error be told to other ranks: made again from its text, not its parts."""
        return _made_again, (type(self), self.args, vars(self))


def _made_again(kind: type[MlpsError], text: tuple[str, ...], state: dict[str, Any]) -> MlpsError:
    error = kind.__new__(kind, *text)
    vars(error).update(state)
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
