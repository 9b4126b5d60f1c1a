"""What ranks tell the parent that had them started: who is there, and how the session ended.

No launcher's exit status can be trusted alone, and none says which of the ranks ended first. So
ranks of the parent's host leave files in a directory of the parent's; those of other hosts write
lines to standard error, which begin with a word that only this launch knows and are taken out again
before anybody sees them. Without such a parent nothing is told.
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

from mlpstorage_bench.process import reaper
from mlpstorage_bench.process.stderr import STDERR, say

DIRECTORY_VARIABLE = "MLPS_LAUNCH_DIRECTORY"
"""Tells ranks on the parent's host where to leave files."""
HOST_VARIABLE = "MLPS_LAUNCH_HOST"
"""Tells ranks which host that is: others may see the directory, too."""
WORD_VARIABLE = "MLPS_LAUNCH_WORD"
"""Tells ranks on other hosts how their lines begin, and marks every process of this launch."""

Kind = Literal["alive", "joined", "hosts", "run", "aborting", "completed"]
_KINDS = frozenset(get_args(Kind))
_AT_LIMIT = "at-limit-"
_CAME = "came-"
_DEAD = "dead-"
_OF_ONE_RANK = re.compile(f"({_AT_LIMIT}|{_CAME}|{_DEAD})[0-9]+")
_reapers: list[subprocess.Popen[bytes]] = []
"""Of this process, where its parent is on another host and cannot watch it."""

_OF_A_RANK = "rank-"
_ENCODING = "utf-8"


@dataclass(frozen=True)
class StatusChannel:
    """A rank's way to its parent."""

    directory: Path | None
    """Where to leave files; None on another host."""
    word: str

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> StatusChannel | None:
        """Return the way to the parent; None when no parent of ours started this process."""
        if DIRECTORY_VARIABLE not in environ or WORD_VARIABLE not in environ:
            return None
        directory = Path(environ[DIRECTORY_VARIABLE])
        is_here = environ.get(HOST_VARIABLE) == this_host() and directory.is_dir()
        return cls(directory if is_here else None, environ[WORD_VARIABLE])

    @classmethod
    @cache
    def of_this_process(cls) -> StatusChannel | None:
        """Return this process's way, as its environment was at first: tests may change that."""
        return cls.of(os.environ)

    def send(self, kind: Kind, text: str = "") -> None:
        """Tell the parent something; a later status line of a kind replaces an earlier one."""
        self._send(kind, text)

    def register(self, rank: int) -> None:
        """Let the parent watch this process; on another host a reaper does so in its place."""
        host = os.uname().nodename
        self._send(f"{_CAME}{rank}", host)
        if self.directory is not None:
            write_atomically(self.directory / f"{_OF_A_RANK}{rank}", str(os.getpid()))
        else:
            line = f"{self.word} {_DEAD}{rank} {host}"
            _reapers.append(reaper.start("say", line, error_output=STDERR))

    def reach_limit(self, rank: int) -> None:
        """Tell the parent that this rank is there, now that a test's limit is over."""
        self._send(f"{_AT_LIMIT}{rank}", "")

    def _send(self, name: str, text: str) -> None:
        if self.directory is not None:
            write_atomically(self.directory / name, text)
        else:
            say(f"{self.word} {name} {text}")

    def unregister(self, rank: int) -> None:
        """Tell the parent that this process is about to end as it should."""
        if self.directory is not None:
            (self.directory / f"{_OF_A_RANK}{rank}").unlink(missing_ok=True)
        while _reapers:
            reaper.stop(_reapers.pop())


def this_host() -> str:
    """Return what tells this host from any other, also from one of the same name."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding=_ENCODING).strip()
    return f"{os.uname().nodename}/{boot}"


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or none."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, encoding=_ENCODING, errors="backslashreplace")
    unfinished.replace(path)


class StatusReader:
    """What has reached the parent, by files and by lines."""

    def __init__(self, directory: Path, word: str) -> None:
        self.directory = directory
        self._start = f"{word} ".encode()
        self._held = b""
        self._seen: set[tuple[str, int]] = set()
        self._heard_s = time.monotonic()

    def read(self, kind: Kind) -> str | None:
        """Return the latest status line of a kind; None when there was none."""
        try:
            return (self.directory / kind).read_text(encoding=_ENCODING)
        except FileNotFoundError:
            return None

    def silent_for_s(self) -> float:
        """For how long nothing has come: since it was asked first after the latest status line.

        The times of files only tell one status line from the next: the system's clock may be set.
        """
        seen = _state_of(self.directory)
        if seen != self._seen:
            self._seen, self._heard_s = seen, time.monotonic()
        return time.monotonic() - self._heard_s

    def ranks_here(self) -> dict[int, int]:
        """Return rank → process id of those that are on this host and have not departed."""
        found: dict[int, int] = {}
        for path in self.directory.glob(f"{_OF_A_RANK}*"):
            try:
                process_id = int(path.read_text(encoding=_ENCODING))
            except FileNotFoundError:
                continue  # it has departed meanwhile
            found[int(path.name.removeprefix(_OF_A_RANK))] = process_id
        return found

    def came_from(self) -> list[str]:
        """Return the hosts of which ranks have arrived."""
        arrived = self.directory.glob(f"{_CAME}*")
        return sorted({path.read_text(encoding=_ENCODING) for path in arrived})

    def ranks_that_came(self) -> set[int]:
        """Return the ranks that have arrived, on whatever host."""
        return {
            int(path.name.removeprefix(_CAME)) for path in self.directory.glob(f"{_CAME}[0-9]*")
        }

    def dead_elsewhere(self) -> list[str]:
        """Return the ranks on other hosts of whose deaths word came, with their hosts, in order."""
        dead = sorted(self.directory.glob(f"{_DEAD}*"), key=lambda path: path.stat().st_mtime_ns)
        return [
            f"rank {path.name.removeprefix(_DEAD)} on {path.read_text(encoding=_ENCODING)}"
            for path in dead
        ]

    def silent_at_limit(self) -> list[str]:
        """Return the ranks that did not speak when a test's limit was over, though others did."""
        hosts = (self.read("hosts") or "").split()
        heard = {path.name.removeprefix(_AT_LIMIT) for path in self.directory.glob(f"{_AT_LIMIT}*")}
        if not heard:
            return []
        return [f"rank {n} on {host}" for n, host in enumerate(hosts) if str(n) not in heard]

    def strip_status_lines(self, data: bytes) -> bytes:
        """Take the status lines out of a part of standard error, and return the rest.

        Bytes that may start a status line are held back; the rest is returned at once.
        """
        self._held += data
        passed = b""
        while (begin := self._held.find(self._start)) >= 0:
            passed += self._held[:begin]
            line, newline, rest = self._held[begin + len(self._start) :].partition(b"\n")
            if not newline:
                self._held = self._held[begin:]
                return passed
            self._take(line)
            self._held = rest
        kept = _length_of_a_beginning(self._held, self._start)
        passed, self._held = (
            passed + self._held[: len(self._held) - kept],
            self._held[len(self._held) - kept :],
        )
        return passed

    def _take(self, line: bytes) -> None:
        kind, _, text = line.decode(_ENCODING, "replace").rstrip("\r").partition(" ")
        if kind in _KINDS or _OF_ONE_RANK.fullmatch(kind):
            write_atomically(self.directory / kind, text)


def _state_of(directory: Path) -> set[tuple[str, int]]:
    """Return name and time of the files that are there."""
    found: set[tuple[str, int]] = set()
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                found.add((entry.name, entry.stat().st_mtime_ns))
            except FileNotFoundError:
                continue  # ranks rename and remove theirs meanwhile
    return found


def _length_of_a_beginning(data: bytes, word: bytes) -> int:
    """Return how many of the last bytes are the first of a word."""
    longest = min(len(data), len(word) - 1)
    return next((n for n in range(longest, 0, -1) if data.endswith(word[:n])), 0)
