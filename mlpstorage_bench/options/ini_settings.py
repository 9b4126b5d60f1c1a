"""Settings of the ini-file, declared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.options.names import (
    ALIASES_INI,
    DEFAULT_GRACE,
    DEFAULT_STARTUP,
    GRACE_INI,
    MPI_INI,
    STARTUP_INI,
)


@dataclass(frozen=True)
class IniSetting:
    """One setting, with the type by which pytest parses its value."""

    name: str
    help: str
    type: Literal["bool", "string"] = "string"
    default: bool | str | None = None


INI_SETTINGS = (
    IniSetting(
        ALIASES_INI,
        "also accept the names of the reference implementation (--hosts, --exec-type, …)",
        "bool",
        default=True,
    ),
    # None, so that a limit that is set can be told from none
    IniSetting(
        GRACE_INI,
        "seconds that other ranks may take to reach the same point after a rank has failed; then "
        f"all are aborted (default: {DEFAULT_GRACE})",
    ),
    IniSetting(
        STARTUP_INI,
        "seconds that a rank may take from its start to the collection of tests; then it ends "
        f"(default: {DEFAULT_STARTUP})",
    ),
    IniSetting(
        MPI_INI,
        "auto: ranks that a launcher started become one session where one of our options, settings,"
        " fixtures or markers is used; on: always; off: never",
        default="auto",
    ),
)
