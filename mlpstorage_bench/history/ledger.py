"""The reference's ledger of runs, `.mlps/runs.jsonl`: a line is added for runs that were removed.

The file is append only, one JSON object a line; writers hold a lock on `runs.jsonl.lock`. It is
kept where the reference has made it, and never created here: the reference enters runs that it
does not know when it next looks at the tree.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.process.removal import NO_LOCKS
from mlpstorage_bench.results.json_files import parse_json

LEDGER = "runs.jsonl"
_LOCK = "runs.jsonl.lock"
_MOST_BYTES = 64 << 20
_LONGEST_WAIT_S = 30.0
_POLL_S = 0.05
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LedgerError(MlpsError):
    """The ledger cannot be used; the text says why."""


class Ledger:
    """The open and locked ledger of a results directory."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        self._descriptor = descriptor
        content = os.read(descriptor, size_bytes)
        self._separator = "\n" if content and not content.endswith(b"\n") else ""
        self._ids = dict(_registered(content))

    def note_trashed(self, moved: Mapping[str, str], when: datetime) -> None:
        """Add a line for each run that the ledger knows: directory → directory in the trash."""
        lines = [
            json.dumps(
                {
                    "at": when.replace(tzinfo=None).isoformat(timespec="seconds"),
                    "event": "trashed",
                    "id": self._ids[leaf],
                    "to": to,
                },
                sort_keys=True,
            )
            for leaf, to in moved.items()
            if leaf in self._ids
        ]
        if lines:
            text = "".join(f"{line}\n" for line in lines)
            os.write(self._descriptor, f"{self._separator}{text}".encode())


@contextmanager
def open_ledger(folder: int) -> Iterator[Ledger | None]:
    """Open and lock the ledger in an open `.mlps` directory; None if it has none.

    LedgerError if it is no regular file, is too large, cannot be opened or stays locked.
    """
    try:
        ledger = os.open(LEDGER, os.O_RDWR | os.O_APPEND | _FLAGS, dir_fd=folder)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise _unusable(error.strerror or str(error)) from error
    try:
        if not stat.S_ISREG(os.fstat(ledger).st_mode):
            raise _unusable("It is no regular file")
        with _locked(folder):
            status = os.fstat(ledger)
            if status.st_size > _MOST_BYTES:
                raise _unusable(f"It has more than {_MOST_BYTES} bytes, the most that is read")
            yield Ledger(ledger, status.st_size)
    finally:
        os.close(ledger)


@contextmanager
def _locked(folder: int) -> Iterator[None]:
    try:
        lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666, dir_fd=folder)
    except OSError as error:
        raise _unusable(f"{_LOCK}: {error.strerror}") from error
    try:
        _wait_for(lock)
        yield
    finally:
        os.close(lock)


def _wait_for(lock: int) -> None:
    deadline = time.monotonic() + _LONGEST_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in NO_LOCKS:
                return
            if error.errno != errno.EWOULDBLOCK:
                raise _unusable(f"{_LOCK}: {error.strerror}") from error
            if time.monotonic() > deadline:
                raise _unusable(
                    f"Another program has locked it for {_LONGEST_WAIT_S:g} s"
                ) from error
            time.sleep(_POLL_S)
        else:
            return


def _registered(content: bytes) -> Iterator[tuple[str, int]]:
    """Yield directory and number of each run; lines that are no such entry are skipped."""
    for line in content.splitlines():
        try:
            entry = parse_json(line)
        except ValueError:
            continue  # a line that was torn by a crash
        match entry:
            case {"event": "registered", "leaf": str(leaf), "id": int(number)}:
                yield leaf, number


def _unusable(why: str) -> LedgerError:
    return LedgerError(f"the ledger .mlps/{LEDGER} cannot be used: {why}. Nothing was moved")
