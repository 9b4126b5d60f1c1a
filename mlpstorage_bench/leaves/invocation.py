"""The command lines that a run recorded: layout of ranks, exported variables, workload options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from mlpstorage_bench.leaves.document import Document, finite_number

_PLACE = re.compile(r"option_(\d+)/trial_(\d+)/?$")
_ASSIGNMENT = re.compile(r"[A-Z_][A-Z0-9_]*=.*")
_QUOTING = re.compile(r"[\"'\\]")
_SPACE = re.compile(r"[ \t\r\n]+")
_LINES_KEPT = 256
"""Command lines whose words are kept: each rule on a leaf asks for those of all its trials."""
_WORKLOAD_MARK = "--rank-output-base"
"""An option of each command that runs a trial, and of no other command."""


@dataclass(frozen=True)
class Invocation:
    """One launch of a trial."""

    words: tuple[str, ...]
    option: int | None
    trial: int | None

    @property
    def place(self) -> str:
        """The option and trial that it runs, in words."""
        return f"option {self.option}, trial {self.trial}"

    def value(self, name: str) -> str | None:
        """Return the value of an option; None if it is not given."""
        return self._values.get(name)

    @cached_property
    def _values(self) -> dict[str, str]:
        """The values of options by name; the first where one is repeated."""
        values: dict[str, str] = {}
        for at, word in enumerate(self.words):
            name, is_assigned, value = word.partition("=")
            if not word.startswith("-"):
                continue
            if is_assigned:
                values.setdefault(name, value)
            elif at + 1 < len(self.words):
                values.setdefault(word, self.words[at + 1])
        return values

    def number(self, name: str) -> float | None:
        """Return the value of an option as a number."""
        return finite_number(self.value(name))

    @property
    def program_words(self) -> tuple[str, ...]:
        """The words after the benchmark's script: the options of a rank."""
        for at, word in enumerate(self.words):
            if word.endswith(".py"):
                return self.words[at + 1 :]
        return ()

    @cached_property
    def flags(self) -> frozenset[str]:
        """The names of the options of a rank."""
        return frozenset(
            word.partition("=")[0] for word in self.program_words if word.startswith("--")
        )

    @property
    def slots(self) -> dict[str, int] | None:
        """The ranks on each host; None if the command has no list with numbers."""
        given = self.value("-host") or self.value("--host")
        if given is None:
            return None
        found: dict[str, int] = {}
        for part in given.split(","):
            host, _, slots = part.rpartition(":")
            if not host or not slots.isdigit():
                return None
            found[host] = found.get(host, 0) + int(slots)
        return found

    @property
    def ranks(self) -> int | None:
        """The number of ranks."""
        given = self.value("-n") or self.value("-np")
        return int(given) if given is not None and given.isdigit() else None


def invocations(metadata: Document) -> list[Invocation]:
    """Return the launches of trials that metadata records, in order.

    The command of the last trial alone is recorded where the list is missing.
    """
    lines = [part.text("command") or part.text() for part in metadata.parts("command_output_files")]
    lines = [line for line in lines if line] or [metadata.text("executed_command")]
    return [found for line in lines if line for found in [_parsed(line)] if found is not None]


def recorded_commands(metadata: Document) -> list[tuple[str, ...]]:
    """Return the words of every command that metadata records, of trials or others."""
    lines = [part.text("command") or part.text() for part in metadata.parts("command_output_files")]
    lines.append(metadata.text("executed_command"))
    return [_words(line) for line in lines if line]


def exported_variables(words: Sequence[str]) -> dict[str, str]:
    """Return the variables that a launcher's options set; '' where only a name is given."""
    return dict(_exported(words))


@lru_cache(_LINES_KEPT)
def _parsed(line: str) -> Invocation | None:
    """Return the launch of a trial that a command line is; None for other commands."""
    words = _words(line)
    place = ""
    for at, word in enumerate(words):
        if word == _WORKLOAD_MARK and at + 1 < len(words):
            place = words[at + 1]
        elif word.startswith(f"{_WORKLOAD_MARK}="):
            place = word.partition("=")[2]
    if not place:
        return None
    found = _PLACE.search(place)
    option, trial = (int(found[1]), int(found[2])) if found else (None, None)
    return Invocation(words, option, trial)


@lru_cache(_LINES_KEPT)
def _words(line: str) -> tuple[str, ...]:
    if not _QUOTING.search(line):  # as shlex splits it, in a hundredth of the time
        return tuple(word for word in _SPACE.split(line) if word)
    try:
        return tuple(shlex.split(line))
    except ValueError:  # a quote that is not closed
        return tuple(line.split())


def _exported(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield name and value of the variables in options of Open MPI, MPICH, Slurm and of `env`."""
    for at, word in enumerate(words):
        following = words[at + 1 : at + 3]
        if word == "-x" and following:
            name, _, value = following[0].partition("=")
            yield name, value
        elif word in {"-genv", "-env", "--genv", "--env"} and len(following) == 2:  # noqa: PLR2004 - name and value
            yield following[0], following[1]
        elif word.startswith("--export="):
            for part in word.removeprefix("--export=").split(","):
                name, _, value = part.partition("=")
                yield name, value
        elif _ASSIGNMENT.fullmatch(word) and (at == 0 or words[at - 1] == "env"):
            name, _, value = word.partition("=")
            yield name, value
