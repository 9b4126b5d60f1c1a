"""Load of each side: the ranks and settings that the study's command line gives to its type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.launch.environment import detect_launcher

SETTINGS_OPTION = "--mlps-set"
RANKS = pytest.StashKey[Sequence[str]]()
"""Settings TYPE.ranks=N, which are the study's own."""
LOADS: Mapping[str, tuple[str, ...]] = {
    "kv_cache": ("duration=30", "write_limit_gb=1024", "storage_capacity_gb=2"),
    "training": ("epochs=4", "scale=0.125"),
    "checkpointing": ("num_checkpoints_write=6", "scale=0.00955"),
}
"""Changes of each type's profile unless the command line names another one.

The KV cache loads the storage for longer than the other side takes, and no limit closes its window.
The training demands several times more than the profile's, so that it has something to lose, and
checkpoints follow each other for some seconds.
"""
TRIALS: Mapping[str, tuple[str, ...]] = {
    "kv_cache": ("--mlps-trials=1",),
    "training": ("--mlps-trials=1",),
}
"""Options for one window; a checkpoint is a trial, and there are as many as the load has."""
_MOST_RANKS = 4096


def options_of(name: str, profiles: Sequence[str], settings: Sequence[str]) -> list[str]:
    """Return the options of a type's session.

    Later settings of a key take precedence, so that the study's own come first.
    """
    given = _of_type(name, profiles)
    own = [] if given else [f"{name}.{one}" for one in LOADS[name]]
    return [
        *TRIALS.get(name, ()),
        *(f"--mlps-profile={one}" for one in given),
        *(f"--mlps-set={one}" for one in (*own, *_of_type(name, settings))),
    ]


def check_prefixes(option: str, values: Sequence[str]) -> None:
    """Raise InvalidInputError for a value that names no benchmark type of the study."""
    for value in values:
        if not any(_of_type(name, [value]) for name in LOADS):
            accepted = " or ".join(f"{name}.{value}" for name in LOADS)
            raise InvalidInputError(option, value, f"{accepted}, as each side has its own load")


def ranks_of(name: str, settings: Sequence[str]) -> int:
    """Return the ranks of a type: those of the last setting TYPE.ranks=N; 1 unless there is one."""
    key, ranks = _ranks_key(name), 1
    for setting in settings:
        if setting.startswith(key):
            number = setting.removeprefix(key)
            if not number.isdecimal() or not 0 < int(number) <= _MOST_RANKS:
                raise InvalidInputError(
                    SETTINGS_OPTION, setting, f"{key}N with 1 to {_MOST_RANKS} ranks"
                )
            ranks = int(number)
    return ranks


def check_launches_its_own(environ: Mapping[str, str]) -> None:
    """Raise InvalidInputError if the study is a rank of an MPI launcher: it starts ranks itself."""
    launcher = detect_launcher(environ)
    if launcher is not None:
        raise InvalidInputError(
            "launcher",
            launcher.launcher,
            "none, as the study starts the ranks of both sides",
            hint="Run it without a launcher, with "
            + " and ".join(f"{SETTINGS_OPTION} {_ranks_key(name)}N" for name in LOADS),
        )


def is_ranks(setting: str) -> bool:
    """Return whether a setting is the number of a side's ranks."""
    return setting.startswith(tuple(_ranks_key(name) for name in LOADS))


def check_no_ranks(settings: Sequence[str]) -> None:
    """Raise InvalidInputError for the ranks of a side in a session that is not the study's."""
    for setting in filter(is_ranks, settings):
        raise InvalidInputError(
            SETTINGS_OPTION,
            setting,
            "a parameter of the benchmark type",
            hint="Ranks of a side are for benchmarks/test_interference.py alone. Start others "
            "with --mlps-num-processes",
        )


def _ranks_key(name: str) -> str:
    return f"{name}.ranks="


def _of_type(name: str, values: Sequence[str]) -> list[str]:
    """Return the values that name a type."""
    return [value for value in values if value.startswith(f"{name}.")]
