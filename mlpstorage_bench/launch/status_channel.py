"""Status messages from ranks to the parent: registered ranks, progress, and the session's end.

A launcher's exit status is not reliable alone, and does not show which rank ended first. So ranks
on the parent's host write files to a directory of the parent's. Ranks on other hosts write lines to
standard error, which start with an id of this launch and are removed before the output is shown.
Without a parent, nothing is sent.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from mlpstorage_bench.launch import parent_death
from mlpstorage_bench.launch.environment import LAUNCH_ID_VARIABLE
from mlpstorage_bench.process import reaper
from mlpstorage_bench.process.identity import boot_id
from mlpstorage_bench.process.stderr import descriptor, say

DIRECTORY_VARIABLE = "MLPS_LAUNCH_DIRECTORY"
"""Environment variable with the directory for status files."""
HOST_VARIABLE = "MLPS_LAUNCH_HOST"
"""Environment variable with the parent's host: other hosts may see the directory, too."""

Kind = Literal["step", "joined", "hosts", "run", "logs", "aborting", "completed"]
_KINDS = frozenset(get_args(Kind))
_AT_LIMIT = "at-limit-"
_REGISTERED = "registered-"
_EXITED = "exited-"
_STOPPED = "stopped-"
_RANK_KIND = re.compile(f"({_AT_LIMIT}|{_REGISTERED}|{_EXITED}|{_STOPPED})[0-9]+")
_reapers: list[subprocess.Popen[bytes]] = []
"""The reaper of this process, if its parent is on another host and cannot watch it."""

_PROCESS = "rank-"
_ENCODING = "utf-8"


@dataclass(frozen=True)
class StatusChannel:
    """A rank's connection to its parent."""

    directory: Path | None
    """Directory for status files; None on another host."""
    launch_id: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> StatusChannel | None:
        """Return the connection to the parent; None when no parent of ours started this process."""
        if DIRECTORY_VARIABLE not in environ or LAUNCH_ID_VARIABLE not in environ:
            return None
        directory = Path(environ[DIRECTORY_VARIABLE])
        is_here = environ.get(HOST_VARIABLE) == this_host() and directory.is_dir()
        return cls(directory if is_here else None, environ[LAUNCH_ID_VARIABLE])

    @classmethod
    @cache
    def of_this_process(cls) -> StatusChannel | None:
        """Return this process's connection; cached, as tests may change the environment."""
        return cls.from_environ(os.environ)

    def send(self, kind: Kind, text: str = "") -> None:
        """Send a status; a later one of the same kind replaces it."""
        self._send(kind, text)

    @property
    def is_on_parents_host(self) -> bool:
        """Whether the parent runs on this host, and sees this process's files."""
        return self.directory is not None

    def register(self, rank: int) -> None:
        """Register this process with the parent; on another host, a reaper watches it."""
        host = os.uname().nodename
        self._send(f"{_REGISTERED}{rank}", host)
        if self.directory is not None:
            self._send(f"{_PROCESS}{rank}", str(os.getpid()))
            parent_death.watch(self.directory)
        else:
            line = f"{self.launch_id} {_EXITED}{rank} {host}"
            _reapers.append(reaper.start("print", line, error_output=descriptor()))

    def report_limit(self, rank: int) -> None:
        """Report that this rank still runs, now that a test has exceeded its limit."""
        self._send(f"{_AT_LIMIT}{rank}", "")

    def report_stop(self, rank: int) -> None:
        """Report that this rank received a signal that asks it to stop."""
        self._send(f"{_STOPPED}{rank}", "")

    def _send(self, name: str, text: str) -> None:
        if self.directory is None:
            say(f"{self.launch_id} {name} {text}")
            return
        try:
            write_atomically(self.directory / name, text)
        except OSError as error:  # the parent misses it, and then fails the session
            say(f"mlpstorage: status {name!r} of a rank cannot be written: {error}")

    def unregister(self, rank: int) -> None:
        """Report that this process is about to end normally."""
        if self.directory is not None:
            (self.directory / f"{_PROCESS}{rank}").unlink(missing_ok=True)
            if not [*self.directory.glob(f"{_PROCESS}*")]:
                parent_death.remove_orphaned(self.directory)
        while _reapers:
            reaper.stop(_reapers.pop())


def this_host() -> str:
    """Return an identifier of this host that is unique also among hosts of the same name."""
    return f"{os.uname().nodename}/{boot_id()}"


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that readers see all of it or none."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, encoding=_ENCODING, errors="backslashreplace")
    unfinished.replace(path)


class StatusReader:
    """Reads the status files and status lines of ranks, in the parent."""

    def __init__(self, directory: Path, launch_id: str) -> None:
        self.directory = directory
        self._start = f"{launch_id} ".encode()
        self._pending = b""
        self._seen: set[tuple[str, int]] = set()
        self._last_status_s = time.monotonic()

    def read(self, kind: Kind) -> str | None:
        """Return the latest status of a kind; None when there was none."""
        try:
            return (self.directory / kind).read_text(encoding=_ENCODING)
        except FileNotFoundError:
            return None

    def seconds_since_status(self) -> float:
        """Return the seconds since the call that first saw the latest status.

        File times only distinguish one status from the next: the system's clock may be set.
        """
        seen = _state_of(self.directory)
        if seen != self._seen:
            self._seen, self._last_status_s = seen, time.monotonic()
        return time.monotonic() - self._last_status_s

    def local_processes(self) -> dict[int, int]:
        """Return rank → process id of the registered ranks on this host."""
        found: dict[int, int] = {}
        for path in self.directory.glob(f"{_PROCESS}*"):
            try:
                process_id = int(path.read_text(encoding=_ENCODING))
            except FileNotFoundError:
                continue  # it unregistered meanwhile
            found[int(path.name.removeprefix(_PROCESS))] = process_id
        return found

    def registered_hosts(self) -> list[str]:
        """Return the hosts of the ranks that have registered."""
        registered = self.directory.glob(f"{_REGISTERED}*")
        return sorted({path.read_text(encoding=_ENCODING) for path in registered})

    def registered_ranks(self) -> set[int]:
        """Return the ranks that have registered, on any host."""
        return {
            int(path.name.removeprefix(_REGISTERED))
            for path in self.directory.glob(f"{_REGISTERED}[0-9]*")
        }

    def exited_elsewhere(self) -> list[str]:
        """Return the killed ranks on other hosts, with their hosts, in the order of the reports."""
        exited = sorted(
            self.directory.glob(f"{_EXITED}*"), key=lambda path: path.stat().st_mtime_ns
        )
        stopped = self.stopped_ranks()
        return [
            f"rank {path.name.removeprefix(_EXITED)} on {path.read_text(encoding=_ENCODING)}"
            for path in exited
            if int(path.name.removeprefix(_EXITED)) not in stopped
        ]

    def stopped_ranks(self) -> set[int]:
        """Return the ranks that reported a signal that asks them to stop."""
        return {
            int(path.name.removeprefix(_STOPPED)) for path in self.directory.glob(f"{_STOPPED}*")
        }

    def missing_at_limit(self) -> list[str]:
        """Return the ranks that did not report at a test's limit, if any rank did.

        A report after an abort does not count: the signal that ends a rank may wake it.
        """
        hosts = (self.read("hosts") or "").split()
        sent_ns = dict(_state_of(self.directory))
        reported = {
            name.removeprefix(_AT_LIMIT)
            for name, time_ns in sent_ns.items()
            if name.startswith(_AT_LIMIT) and time_ns <= sent_ns.get("aborting", time_ns)
        }
        if not reported:
            return []
        return [f"rank {n} on {host}" for n, host in enumerate(hosts) if str(n) not in reported]

    def strip_status_lines(self, data: bytes) -> bytes:
        """Remove the status lines from a part of standard error, and return the rest.

        Bytes that may start a status line are kept for the next call.
        """
        self._pending += data
        passed = b""
        while (begin := self._pending.find(self._start)) >= 0:
            passed += self._pending[:begin]
            line, newline, rest = self._pending[begin + len(self._start) :].partition(b"\n")
            if not newline:
                self._pending = self._pending[begin:]
                return passed
            self._store(line)
            self._pending = rest
        kept = _partial_match_length(self._pending, self._start)
        passed, self._pending = (
            passed + self._pending[: len(self._pending) - kept],
            self._pending[len(self._pending) - kept :],
        )
        return passed

    def _store(self, line: bytes) -> None:
        kind, _, text = line.decode(_ENCODING, "replace").rstrip("\r").partition(" ")
        if kind in _KINDS or _RANK_KIND.fullmatch(kind):
            try:
                write_atomically(self.directory / kind, text)
            except OSError as error:  # what follows in the stream must still be forwarded
                say(f"mlpstorage: status {kind!r} of a rank cannot be written: {error}")


def _state_of(directory: Path) -> set[tuple[str, int]]:
    """Return name and time of each file."""
    found: set[tuple[str, int]] = set()
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                found.add((entry.name, entry.stat().st_mtime_ns))
            except FileNotFoundError:
                continue  # its rank renamed or removed it meanwhile
    return found


def _partial_match_length(data: bytes, prefix: bytes) -> int:
    """Return how many of the last bytes are the first bytes of the prefix."""
    longest = min(len(data), len(prefix) - 1)
    return next((n for n in range(longest, 0, -1) if data.endswith(prefix[:n])), 0)
