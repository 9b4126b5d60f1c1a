"""What of the environment goes along to other hosts: a list, so that no secret does."""

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
"""Variables that decide what a rank runs, and how it shows it."""

FORWARDED_PREFIXES = (
    *("MLPS_", "PYTHON"),
    *("MPI4PY_", "OMPI_MCA_", "MPICH_", "MPIR_CVAR_", "CRAY_", "FI_", "UCX_"),
)
"""Beginnings of names: our own and Python's, and what MPI libraries and their transports read.

Ranks of one job that choose their transports differently do not find each other.
"""


def exported_names(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the names of the variables that go along, of those that are set."""
    names = os.environ if environ is None else environ
    return sorted(
        name for name in names if name in FORWARDED or name.startswith(FORWARDED_PREFIXES)
    )


_ONE = frozenset({"x", "env", "genv"})
_LIST = "export"
_PARAMS = frozenset({PARAMS_OPTION, PARAMS_OPTION.replace("mlps-", "")})
_PROGRAM = re.compile(r"python[\d.]*|pytest|py\.test")


def without_values(command: Sequence[str]) -> list[str]:
    """Return a launcher's command without the values that it gives variables of the environment.

    So `-x NAME=VALUE` becomes `-x NAME`, which takes it from the environment. Hydra does so anyhow,
    and has no words for one name: `-genv NAME VALUE` is left out.
    """
    program = next((n for n, word in enumerate(command) if _is_program(word)), len(command))
    kept: list[str] = []
    words = iter(command[:program])
    for word in words:
        name, equals, value = word.partition("=")
        flag = name.lstrip("-") if word.startswith("-") else ""
        if flag not in {*_ONE, _LIST}:
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
"""An item of a comma list, in which quotes may hold commas."""


def _is_program(word: str) -> bool:
    return _PROGRAM.fullmatch(Path(word).name) is not None


def _arguments_without_values(arguments: Sequence[str]) -> list[str]:
    """Do the same for what pytest is given for a launcher."""
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
    """Do the same for further arguments of a launcher, quoted as in a shell."""
    return shlex.join(without_values(shlex.split(text)))
