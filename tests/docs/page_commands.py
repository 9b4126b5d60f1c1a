"""Commands and files that pages show, and how the commands can be run on this machine."""

from __future__ import annotations

import argparse
import functools
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.options.declared import OPTIONS, asks_for_command
from tests.docs.pages import blocks

STORAGE = "/mnt/array"
"""Stands on pages for the storage of a reader."""
OF_OTHER_HOSTS = frozenset({"--mlps-hosts", "--host", "-hosts", "--hosts"})
_COMMAND = re.compile(r"^ {4,}(?P<line>(?:mpirun |mpiexec |srun )?.*\bpytest .*)$", re.MULTILINE)
_RUN_ID = re.compile(r"\d{8}_\d{4}")
_FILE = re.compile(r"# (?P<name>[\w-]+\.(?:yaml|py))\n")


@dataclass(frozen=True)
class Command:
    """One pytest command of a page, as words."""

    words: tuple[str, ...]

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments of pytest."""
        return self.words[self.words.index("pytest") + 1 :]

    @property
    def launcher(self) -> tuple[str, ...]:
        """Words before pytest."""
        return self.words[: self.words.index("pytest")]

    @property
    def runs_here(self) -> bool:
        """Whether one machine without a resource manager can run it, and in a short time."""
        names = {word.partition("=")[0] for word in self.words}
        needs_more = (
            bool(names & OF_OTHER_HOSTS)
            or {"--mlps-mode", "closed"} <= {*self.words}
            or any(_RUN_ID.match(word) for word in self.words)
        )
        return not needs_more and self.launcher[:1] in {(), ("mpirun",)}

    @property
    def measures(self) -> bool:
        """Whether it runs tests, and does not print something and exit."""
        given, _ = option_parser().parse_known_args(self.arguments)
        return not asks_for_command(given)


def commands(path: Path) -> Iterator[Command]:
    """Iterate over the pytest commands of a page or example; a line may go on after a backslash."""
    for found in _COMMAND.finditer(path.read_text().replace("\\\n", " ")):
        yield Command(tuple(shlex.split(found["line"].replace("…", ""), comments=True)))


def files(page: Path) -> dict[str, str]:
    """Return name → text of the blocks that begin with a comment that is a file's name."""
    shown = [(_FILE.match(code), code) for _, code in blocks(page)]
    return {named["name"]: code for named, code in shown if named is not None}


@functools.cache
def option_parser() -> argparse.ArgumentParser:
    """Return a parser of our options alone."""
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    for option in OPTIONS:
        parser.add_argument(option.flag, **option.keywords)
    return parser


def on_storage(words: Sequence[str], storage: Path) -> list[str]:
    """Return words in which a directory takes the place of a reader's storage."""
    return [word.replace(STORAGE, str(storage)) for word in words]
