"""Files of a session that pytest and its plugins write: their names, and who writes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from _pytest.junitxml import xml_key
from _pytest.logging import LoggingPlugin

from mlpstorage_bench.errors import InvalidInputError

_RANK_0_ALONE: Mapping[str, object] = {
    "benchmark_json": None,
    "benchmark_save": None,
    "benchmark_autosave": None,
    "benchmark_compare": [],
    "benchmark_compare_fail": None,
    "benchmark_histogram": [],
    "benchmark_cprofile_dump": [],
    "benchmark_quiet": True,
    "benchmark_verbose": False,
    "xmlpath": None,
    "log_file": os.devnull,  # not None: pytest would then take the ini-file's
}
"""Options that make a session write files or tables: off on every rank except rank 0."""
_RANK_0_ALONE_ELSEWHERE = ("htmlpath", "report_log", "json_report_file")
"""Such options of pytest-html, pytest-reportlog and pytest-json-report."""
_OTHERS_WRITERS = ("html", "_cov", "_report_log_plugin")
"""Objects of pytest-html, pytest-cov and pytest-reportlog that write such files: names of plugins,
and an attribute of pytest's config. pytest-cov removes the data files of other ranks."""

_BENCHMARK_SESSION_ATTRIBUTES = (
    *("json", "save", "autosave", "compare", "compare_fail", "histogram", "cprofile_dump"),
    *("quiet", "verbose"),
)
"""Attributes that hold these options in pytest-benchmark after its configuration."""


def output_files(config: pytest.Config) -> list[tuple[str, Path]]:
    """Return option and path of each file that pytest and pytest-benchmark write by its name."""
    options = config.option
    # in older releases of pytest-benchmark, the option's value is an open file
    dump = getattr(options, "benchmark_json", None)
    named = {
        "--junitxml": options.xmlpath and os.path.expanduser(os.path.expandvars(options.xmlpath)),  # noqa: PTH111 - as pytest: variables, too
        "--benchmark-json": dump if dump is None or isinstance(dump, Path) else dump.name,
        "--log-file": options.log_file or config.getini("log_file"),
    }
    return [(option, Path(path)) for option, path in named.items() if path]


def use_own_basetemp(config: pytest.Config, rank: int) -> None:
    """Give this rank a directory of its own in `--basetemp`, which pytest empties at first use.

    InvalidInputError if it cannot be made.
    """
    given = getattr(config.option, "basetemp", None)
    if given is None:
        return
    own = Path(os.path.abspath(given)) / f"rank_{rank}"  # noqa: PTH100 - as pytest: links stay
    try:
        own.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInputError(
            "--basetemp", str(given), "a directory that can be made", hint=reason
        ) from error
    config.option.basetemp = str(own)
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is not None:
        factory._given_basetemp = own  # noqa: SLF001 - pytest has read the option before


def leave_files_to_rank_0(config: pytest.Config) -> None:
    """Make this rank write no file and no table.

    Options are changed for plugins that read them later, and objects of plugins that have already
    read them.
    """
    others = dict.fromkeys(_RANK_0_ALONE_ELSEWHERE)
    for name, value in {**_RANK_0_ALONE, **others}.items():
        setattr(config.option, name, value)
    xml = config.stash.get(xml_key, None)
    if xml is not None:
        del config.stash[xml_key]
        config.pluginmanager.unregister(xml)
    logging_plugin = config.pluginmanager.getplugin("logging-plugin")
    if isinstance(logging_plugin, LoggingPlugin):
        logging_plugin.set_log_path(os.devnull)
    for name in _OTHERS_WRITERS:
        writer = config.pluginmanager.getplugin(name) or getattr(config, name, None)
        if writer is not None:
            config.pluginmanager.unregister(writer)
    benchmark_session = getattr(config, "_benchmarksession", None)
    if benchmark_session is not None:
        for name in _BENCHMARK_SESSION_ATTRIBUTES:
            setattr(benchmark_session, name, _RANK_0_ALONE[f"benchmark_{name}"])
