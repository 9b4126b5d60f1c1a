"""Removal of secrets from commands, their arguments and environment variables.

Commands keep the values of a fixed list of variables, and only the names of all others.
"""

from __future__ import annotations

import re
import shlex
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mlpstorage_bench.redaction.text import REMOVED, is_secret, redact_text

PUBLIC_VARIABLES = frozenset(
    {
        *("PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT", "VIRTUAL_ENV", "TMPDIR"),
        *("LANG", "LC_ALL", "COLUMNS", "TERM", "NO_COLOR"),
        *("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"),
        *("MLPERF_RESULTS_DIR", "MLPERF_SYSTEMNAME"),
    }
)
"""Environment variables that affect the program of a rank and its output, and hold no secrets."""

PUBLIC_PREFIXES = (
    *("MLPS_", "PYTHON"),
    *("MPI4PY_", "OMPI_MCA_", "MPICH_", "MPIR_CVAR_", "CRAY_", "FI_", "UCX_"),
)
"""Prefixes of such variables: our own, Python's, and those of MPI libraries and their transports.

Ranks of one job that choose different transports cannot connect.
"""

PARAMS_OPTIONS = frozenset({"--mlps-mpi-params", "--mpi-params"})
"""Options of pytest whose value is a list of launcher arguments."""

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL | re.ASCII)
_PROGRAM = re.compile(r"python[\d.]*|pytest|py\.test")
_SHELLS = frozenset({"sh", "bash", "dash", "ksh", "zsh"})
_MCA = frozenset({"mca", "gmca", "omca", "prtemca", "pmixmca"})
"""Launcher flags that are followed by a name and a value; some names are lists of variables."""
_VARIABLE = frozenset(
    {"x", "env", "genv", *(f"{verb}-env" for verb in ("set", "prepend", "append"))}
)
"""Launcher flags with a variable: `NAME`, `NAME=VALUE`, or, except for x, `NAME VALUE`."""
_LIST = "export"
_LISTED = re.compile(r"(?:[^,']|'[^']*')+")
"""An item of srun's comma list; quotes may contain commas."""
_SIMPLE_COMMAND = re.compile(r"""(?:[^;&|()\n'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+""", re.DOTALL)
"""The part of a shell's text between operators."""


def is_public(variable: str) -> bool:
    """Whether the value of an environment variable may be stored and printed."""
    if variable in PUBLIC_VARIABLES:
        return True
    lists_variables = "env" in variable.lower().split("_")  # OMPI_MCA_mca_base_env_list
    is_listed = variable.startswith(PUBLIC_PREFIXES) and not lists_variables
    return is_listed and not is_secret(variable)


def redact_environment(values: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return variables with their values redacted; values that are not public become None."""
    return {
        name: _public_value(name, value) if value is not None and is_public(name) else None
        for name, value in values.items()
    }


def _public_value(name: str, value: str) -> str:
    return _quoted(value, _of_program) if name == "PYTEST_ADDOPTS" else redact_text(value)


def redact_launcher_arguments(text: str) -> str:
    """Return arguments of a launcher, quoted as in a shell, without secrets."""
    return _quoted(text, redact_command)


def record_launcher_arguments(text: str) -> str:
    """Return arguments of a launcher with the names of all variables, to be read and not run.

    Values that are not public are replaced, also where a command would omit the variable.
    """
    return _quoted(text, lambda words: _of_launcher(deque(words), keeps_names=True))


def _quoted(text: str, redact: Callable[[list[str]], Iterable[str]]) -> str:
    """Redact words that are quoted as in a shell."""
    try:
        words = shlex.split(text)
    except ValueError:
        return REMOVED
    redacted = [*redact(words)]
    return text if redacted == words else shlex.join(redacted)


def redact_command(command: Sequence[str]) -> list[str]:
    """Return a command without credentials, and with the values of public variables alone.

    `-x NAME=VALUE` becomes `-x NAME`, which reads the value from the environment. Hydra passes the
    environment by default and has no such form for one name: `-genv NAME VALUE` is omitted, as is
    `NAME=VALUE` after `env`.
    """
    program = next((n for n, word in enumerate(command) if _is_program(word)), len(command))
    return [*_of_launcher(deque(command[:program])), *_of_program(command[program:])]


def _is_program(word: str) -> bool:
    return _PROGRAM.fullmatch(Path(word).name) is not None


def _of_launcher(words: deque[str], *, keeps_names: bool = False) -> Iterator[str]:
    """Yield the redacted words before the program.

    `keeps_names`: also of variables that a command cannot pass without their values.
    """
    before = ""
    while words:
        word = words.popleft()
        name, equals, value = word.partition("=")
        flag = name.lstrip("-") if word.startswith("-") else ""
        if Path(word).name in ("env", "export"):
            yield word
            yield from _of_env(words, keeps_names=keeps_names or word == "export")
        elif Path(word).name in _SHELLS:
            yield word
            yield from _of_shell(words)
        elif flag == _LIST:
            listed = value if equals else words.popleft() if words else ""
            kept = ",".join(_variable(one) for one in _LISTED.findall(listed))
            yield from [f"{name}={kept}"] if equals else [name, kept]
        elif flag in _MCA and words:
            yield from (word, parameter := words.popleft())
            if words:
                yield _mca_value(parameter, words.popleft())
        elif flag in _VARIABLE:
            attached = value if equals else None
            yield from _of_variable(name, attached, words, keeps_names=keeps_names)
        else:
            yield _word(before, word)
        before = word


def _of_variable(
    flag: str, attached: str | None, words: deque[str], *, keeps_names: bool
) -> Iterator[str]:
    """Yield a flag with its variable; `attached` is the text after `=` in the flag's word."""
    if attached is not None:
        yield f"{flag}={_variable(attached)}"
    elif words:
        variable = words.popleft()
        is_alone = flag.startswith("--") and (not words or words[0].startswith("-"))
        if flag.lstrip("-") == "x" or "=" in variable or is_alone:
            yield from (flag, _variable(variable))
        elif words:
            value = words.popleft()
            if is_public(variable):
                yield from (flag, variable, _public_value(variable, value))
            elif keeps_names:
                yield from (flag, variable, REMOVED)


def _of_env(words: deque[str], *, keeps_names: bool) -> Iterator[str]:
    """Yield the options and variables after `env` or `export`."""
    while words and (words[0].startswith("-") or _ASSIGNMENT.fullmatch(words[0])):
        word = words.popleft()
        if word.startswith("-"):
            yield word
            if word in ("-u", "-C", "--unset", "--chdir") and words:
                yield words.popleft()
            elif word in ("-S", "--split-string") and words:
                yield _shell_text(words.popleft())
        else:
            kept = _variable(word)
            if keeps_names or "=" in kept:
                yield kept


def _of_shell(words: deque[str]) -> Iterator[str]:
    """Yield the options of a shell, and the text after `-c`."""
    while words and words[0].startswith("-"):
        option = words.popleft()
        yield option
        if re.fullmatch(r"-[a-z]*c", option) and words:
            yield _shell_text(words.popleft())


def _variable(text: str) -> str:
    """Return NAME=VALUE of a public variable; else the name alone."""
    name, equals, value = text.partition("=")
    return f"{name}={_public_value(name, value)}" if equals and is_public(name) else name


def _mca_value(parameter: str, value: str) -> str:
    """Return the value of one of Open MPI's parameters, which may be a list of variables."""
    if "env" in parameter.lower().split("_"):
        return ";".join(_variable(one) for one in value.split(";"))
    if is_secret(parameter):
        return REMOVED
    program, blank, _ = value.strip().partition(" ")
    # Options of another program, such as a remote shell: nobody knows which of them are secrets.
    return f"{redact_text(program)} {REMOVED}" if blank else redact_text(value)


def _shell_text(text: str) -> str:
    return _SIMPLE_COMMAND.sub(lambda found: _simple_command(found[0]), text)


def _simple_command(text: str) -> str:
    """Return a simple command of a shell; a variable before it takes its value from outside."""
    try:
        words = shlex.split(text)
    except ValueError:
        return REMOVED
    first = next((n for n, one in enumerate(words) if not _ASSIGNMENT.fullmatch(one)), len(words))
    kept = [_variable(one) for one in words[:first]]
    command = redact_command(words[first:])
    if [*kept, *command] == words:
        return text
    own = [one if "=" in one else f'{one}="${one}"' for one in kept]
    indent = text[: len(text) - len(text.lstrip())]
    return indent + " ".join([*own, *map(shlex.quote, command)]) + text[len(text.rstrip()) :]


def _of_program(words: Sequence[str]) -> Iterator[str]:
    """Yield the redacted words of pytest's command."""
    before = ""
    for word in words:
        name, equals, value = word.partition("=")
        if before in PARAMS_OPTIONS:
            yield redact_launcher_arguments(word)
        elif equals and name in PARAMS_OPTIONS:
            yield f"{name}={redact_launcher_arguments(value)}"
        elif before.startswith("--mlps-") or name.startswith("--mlps-"):
            yield redact_text(word)  # values such as tokens_per_block=16
        else:
            yield _word(before, word)
        before = word


def _word(before: str, word: str) -> str:
    """Return a word without a secret; `before` is the word before it, which may be an option."""
    if word.startswith("-"):
        name, equals, value = word.partition("=")
        if equals and is_secret(name):
            return f"{name}={REMOVED}"
        return f"{name}{equals}{_value(value)}"
    is_value = before.startswith("--") and "=" not in before
    return REMOVED if is_value and is_secret(before) else _value(word)


def _value(text: str) -> str:
    """Return a value; of an assignment to a variable that is not public, the name alone."""
    name, _, _ = text.partition("=")
    if _ASSIGNMENT.fullmatch(text) and name.isupper() and not is_public(name):
        return f"{name}={REMOVED}"
    return redact_text(text)
