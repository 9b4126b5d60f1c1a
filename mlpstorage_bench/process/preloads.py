"""Libraries of this process that its program did not ask for, and all that are mapped."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.process.control_groups import PROC, text_of

PRELOAD_FILE = Path("/etc/ld.so.preload")
VARIABLES = ("LD_PRELOAD", "LD_AUDIT")
"""Variables with libraries that the dynamic linker loads first."""
_COMMENT = re.compile(r"#.*")
_PATH_AT = 5
"""Field of a line of /proc/self/maps, counted from 0; the path may contain blanks."""


@dataclass(frozen=True)
class Preloads:
    """Libraries that were loaded before the program's own, as users name them."""

    ld_preload: str = ""
    """The variable's value when the process started; '' if it was not set."""
    ld_audit: str = ""
    of_host: tuple[str, ...] = ()
    """Libraries of /etc/ld.so.preload, which are loaded in each process of the host."""


def read_preloads(proc: Path = PROC, preload_file: Path = PRELOAD_FILE) -> Preloads:
    """Return the libraries that this process was started with.

    A library can remove the variable that loaded it, so that the environment at the process's
    start is read.
    """
    environ = _environment_at_start(proc) or dict(os.environ)
    of_host = _COMMENT.sub("", text_of(preload_file)).replace(":", " ").split()
    ld_preload, ld_audit = (environ.get(name, "") for name in VARIABLES)
    return Preloads(ld_preload, ld_audit, tuple(of_host))


def mapped_libraries(proc: Path = PROC) -> tuple[str, ...]:
    """Return the paths of the files whose code is mapped in this process, sorted."""
    paths = set()
    for line in text_of(proc / "self/maps").split("\n"):
        fields = line.split(maxsplit=_PATH_AT)
        if len(fields) > _PATH_AT and "x" in fields[1] and fields[_PATH_AT].startswith("/"):
            paths.add(fields[_PATH_AT])
    return tuple(sorted(paths))


def _environment_at_start(proc: Path) -> dict[str, str]:
    """Return the environment at the process's start; empty where it is hidden."""
    pairs = (entry.partition("=") for entry in text_of(proc / "self/environ").split("\0"))
    return {name: value for name, equals, value in pairs if equals}
