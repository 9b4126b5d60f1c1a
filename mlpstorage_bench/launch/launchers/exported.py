"""Environment variables that are passed to other hosts: a fixed list, without secrets."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlpstorage_bench.launch.launchers.launcher import PARAMS_OPTION

FORWARDED = frozenset(
    {
        *("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TMPDIR"),
        *("LANG", "LC_ALL", "COLUMNS", "TERM", "NO_COLOR"),
        *("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"),
        *("MLPERF_RESULTS_DIR", "MLPERF_SYSTEMNAME"),
    }
)
"""Variables that affect the program of a rank and its output."""

FORWARDED_PREFIXES = (
    *("MLPS_", "PYTHON"),
    *("MPI4PY_", "OMPI_MCA_", "MPICH_", "MPIR_CVAR_", "CRAY_", "FI_", "UCX_"),
)
"""Prefixes of variables: our own, Python's, and those of MPI libraries and their transports.

Ranks of one job that choose different transports cannot connect.
"""


def exported_names(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the names of the set variables that are passed on."""
    names = os.environ if environ is None else environ
    return sorted(
        name for name in names if name in FORWARDED or name.startswith(FORWARDED_PREFIXES)
    )


_SINGLE = frozenset({"x", "env", "genv"})
_LIST = "export"
_PARAMS = frozenset({PARAMS_OPTION, PARAMS_OPTION.replace("mlps-", "")})
_PROGRAM = re.compile(r"python[\d.]*|pytest|py\.test")


def without_values(command: Sequence[str]) -> list[str]:
    """Return a launcher's command without the values of environment variables in it.

    `-x NAME=VALUE` becomes `-x NAME`, which reads the value from the environment. Hydra passes the
    environment by default and has no such form for one name: `-genv NAME VALUE` is omitted.
    """
    program = next((n for n, word in enumerate(command) if _is_program(word)), len(command))
    kept: list[str] = []
    words = iter(command[:program])
    for word in words:
        name, equals, value = word.partition("=")
        flag = name.lstrip("-") if word.startswith("-") else ""
        if flag not in {*_SINGLE, _LIST}:
            kept.append(word)
            continue
        value = value if equals else next(words, "")
        if flag == _LIST:
            value = ",".join(one.partition("=")[0] for one in _LISTED.findall(value))
        elif flag != "x" and not equals and "=" not in value:
            next(words, None)
            continue
        value = value.partition("=")[0]
        kept += [f"{name}={value}"] if equals else [name, value]
    return [*kept, *_arguments_without_values(command[program:])]


_LISTED = re.compile(r"(?:[^,']|'[^']*')+")
"""An item of a comma list; quotes may contain commas."""


def _is_program(word: str) -> bool:
    return _PROGRAM.fullmatch(Path(word).name) is not None


def _arguments_without_values(arguments: Sequence[str]) -> list[str]:
    """Remove the values from the launcher arguments among pytest's arguments."""
    kept: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name in _PARAMS:
            kept.append(f"{name}={params_without_values(value)}")
        elif kept and kept[-1] in _PARAMS:
            kept.append(params_without_values(argument))
        else:
            kept.append(argument)
    return kept


def params_without_values(text: str) -> str:
    """Remove the values from further launcher arguments, quoted as in a shell."""
    return shlex.join(without_values(shlex.split(text)))
