"""Frozen Settings of a session, made from the options and the environment."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.export.write import Export, parse_exports
from mlpstorage_bench.launch.host_list import parse_hosts
from mlpstorage_bench.launch.hosts import Host, Layout, lay_out
from mlpstorage_bench.launch.launchers.launcher import LaunchFlags
from mlpstorage_bench.options.declared import given_options
from mlpstorage_bench.options.names import (
    DEFAULT_GRACE,
    DEFAULT_STARTUP,
    GRACE_INI,
    RESULTS_DIR_VARIABLE,
    STARTUP_INI,
    SYSTEM_NAME_VARIABLE,
    TAG_OPTION,
)
from mlpstorage_bench.options.of_gate import DEFAULT_LOOKS, GATE_OPTIONS
from mlpstorage_bench.options.option import LONGEST_S, parse_seconds
from mlpstorage_bench.options.progress_mode import ProgressMode, mode_of
from mlpstorage_bench.paths import (
    CACHE_DIR_OPTION,
    check_path_component,
    existing_part,
    is_directory,
)
from mlpstorage_bench.redaction.text import REMOVED

RESULTS_DIR_OPTION = "--mlps-results-dir"
DEFAULT_RESULTS_DIR = "mlps-results"
DEFAULT_PROFILE = "quick"
CLOSED_PROFILE = "mlperf"


@dataclass(frozen=True)
class GateSettings:
    """Settings of the gate, which compares a run with earlier ones."""

    is_wanted: bool = False
    baseline: str | None = None
    rules: tuple[str, ...] = ()
    across: bool = False
    undecided: str = "pass"
    looks: int = DEFAULT_LOOKS
    no_baseline: str = "collect"
    disturbed: str = "pass"
    is_selftest: bool = False
    reports: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Settings:
    """Settings of a session. None means that the profile has the value."""

    hosts: tuple[Host, ...]
    exec_type: str
    num_processes: int | None
    npernode: int | None
    mpi_bin: str | None
    launch_flags: LaunchFlags
    profiles: tuple[str, ...]
    """Values of --mlps-profile; one may begin with a benchmark type."""
    mode: str
    overrides: tuple[tuple[str, str], ...]
    """Pairs of --mlps-set: dotted path into the profile, value as typed."""
    cache_dir: Path
    seed: int | None
    trials: int | None
    makes_data: bool
    """Whether the session makes data for later runs, and measures nothing."""
    results_dir: Path
    orgname: str
    systemname: str | None
    tags: tuple[str, ...]
    """Tags under which the run can be found."""
    reports: tuple[Path, ...]
    exports: tuple[Export, ...]
    """Files to which figures are exported."""
    gate: GateSettings
    failure_grace_s: float
    timeout_s: float | None
    """Longest time for one test, or one step beside tests; None for no limit."""
    progress: ProgressMode
    host_words: tuple[str, ...]
    """Values of --mlps-hosts as typed; one that begins with @ names a file."""
    mpi_params: tuple[str, ...]
    """Values of --mlps-mpi-params as typed."""
    user_set: Mapping[str, object]
    """Options that the user set, by name without prefix, for the results and not to be read."""

    @property
    def wants_ranks(self) -> bool:
        """Whether the options request ranks beyond this process."""
        given = self.hosts or self.num_processes or self.npernode
        return self.exec_type == "mpi" and bool(given)

    @property
    def command(self) -> str:
        """The command of the session's runs, as their paths name it."""
        return "datagen" if self.makes_data else "run"

    @property
    def profile(self) -> str:
        """The profiles in words, for people: those that are given, or the default."""
        default = CLOSED_PROFILE if self.mode == "closed" else DEFAULT_PROFILE
        return ", ".join(self.profiles) or default

    def layout(self) -> Layout:
        """Return the number of ranks on each host; InvalidInputError if the numbers do not fit."""
        return lay_out(self.hosts, num_processes=self.num_processes, npernode=self.npernode)


def read_settings(
    options: argparse.Namespace, environ: Mapping[str, str], failure_grace: str = DEFAULT_GRACE
) -> Settings:
    """Make Settings from pytest's parsed options; InvalidInputError for an unusable value."""
    given = given_options(options)
    mode = given.get("mode", "open")
    settings = Settings(
        hosts=parse_hosts(given.get("hosts", ())),
        exec_type=given.get("exec-type", "mpi"),
        num_processes=given.get("num-processes"),
        npernode=given.get("npernode"),
        mpi_bin=given.get("mpi-bin"),
        launch_flags=LaunchFlags(
            oversubscribe=given.get("oversubscribe", False),
            allow_run_as_root=given.get("allow-run-as-root", False),
            transport=given.get("mpi-btl", "auto"),
            extra=_split_mpi_params(given.get("mpi-params", ())),
        ),
        profiles=tuple(given.get("profile", ())),
        mode=mode,
        overrides=_parse_assignments(given.get("set", ())),
        cache_dir=_directory(CACHE_DIR_OPTION, given.get("cache-dir", "mlps-cache")),
        seed=given.get("seed"),
        trials=given.get("trials"),
        makes_data=given.get("datagen", False),
        results_dir=results_dir_of(options, environ),
        orgname=check_path_component("--mlps-orgname", given.get("orgname", "local")),
        systemname=_system_name(given, environ),
        tags=tuple(
            dict.fromkeys(check_path_component(TAG_OPTION, tag) for tag in given.get("tag", ()))
        ),
        reports=check_reports(given.get("report", ())),
        exports=parse_exports(given.get("export", ())),
        gate=gate_settings(given),
        failure_grace_s=given.get("grace", _seconds(GRACE_INI, failure_grace)),
        timeout_s=given.get("timeout"),
        progress=mode_of(given.get("progress", "auto")),
        host_words=tuple(given.get("hosts", ())),
        mpi_params=tuple(given.get("mpi-params", ())),
        user_set=_as_recorded(given),
    )
    settings.layout()
    return settings


def _as_recorded(given: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the user's options, with a profile as one text."""
    profiles = given.get("profile")
    return given if profiles is None else {**given, "profile": ", ".join(profiles)}


def gate_settings(given: Mapping[str, Any]) -> GateSettings:
    """Return the settings of the gate; any option of the gate turns it on."""
    of_gate = {option.name for option in GATE_OPTIONS} & given.keys()
    return GateSettings(
        is_wanted=bool(of_gate),
        baseline=given.get("baseline"),
        rules=tuple(given.get("gate-rule", ())),
        across=given.get("gate-across", False),
        undecided=given.get("gate-undecided", "pass"),
        looks=given.get("gate-looks", DEFAULT_LOOKS),
        no_baseline=given.get("gate-no-baseline", "collect"),
        disturbed=given.get("gate-disturbed", "pass"),
        is_selftest=given.get("gate-selftest", False),
        reports=tuple(Path(path).absolute() for path in given.get("gate-report", ())),
    )


def results_dir_of(options: argparse.Namespace, environ: Mapping[str, str]) -> Path:
    """Return the results directory: the option, else the environment, else ./mlps-results."""
    given = getattr(options, "mlps_results_dir", None)
    source = RESULTS_DIR_OPTION if given else RESULTS_DIR_VARIABLE
    return _directory(source, given or environ.get(RESULTS_DIR_VARIABLE) or DEFAULT_RESULTS_DIR)


def _directory(source: str, given: str) -> Path:
    """Return the path of a directory, which may not exist; InvalidInputError if none can."""
    path = Path(given).absolute()
    existing_part(source, path)
    return path


def _system_name(given: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    if "systemname" in given:
        return check_path_component("--mlps-systemname", given["systemname"])
    if environ.get(SYSTEM_NAME_VARIABLE):
        return check_path_component(SYSTEM_NAME_VARIABLE, environ[SYSTEM_NAME_VARIABLE])
    return None


def _split_mpi_params(values: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    words: list[str] = []
    for value in values:
        try:
            words += shlex.split(value)
        except ValueError as error:
            raise InvalidInputError(
                "--mlps-mpi-params",
                re.sub(r"=\S+", f"={REMOVED}", value),
                "arguments quoted as in a shell",
                hint=str(error),
            ) from error
    return tuple(words)


def _parse_assignments(values: tuple[str, ...] | list[str]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for value in values:
        key, separator, text = value.partition("=")
        if not separator or not key.strip():
            raise InvalidInputError("--mlps-set", value, "KEY=VALUE, like duration=5")
        pairs.append((key.strip(), text.strip()))
    return tuple(pairs)


def check_reports(values: Sequence[str]) -> tuple[Path, ...]:
    """Return the files of reports; InvalidInputError for other formats and unknown places."""
    paths = tuple(Path(value).absolute() for value in values)
    for path in paths:
        if path.suffix not in (".md", ".html"):
            raise InvalidInputError("--mlps-report", str(path), "a file name in .md or .html")
        if not is_directory("--mlps-report", path.parent):
            raise InvalidInputError("--mlps-report", str(path), "a file in a directory that exists")
    return paths


def startup_limit_s(config: pytest.Config) -> float:
    """Return the time limit for all ranks to join the session."""
    return _seconds(STARTUP_INI, config.getini(STARTUP_INI) or DEFAULT_STARTUP)


def grace_before_options(config: pytest.Config, known: argparse.Namespace) -> float:
    """Return the grace period before pytest has parsed all options."""
    given = getattr(known, "mlps_grace", None)
    return float(given or _seconds(GRACE_INI, config.getini(GRACE_INI) or DEFAULT_GRACE))


def _seconds(source: str, text: str) -> float:
    value = parse_seconds(text)
    if value is None:
        raise InvalidInputError(source, text, f"a number of seconds from 0 to {LONGEST_S} (a year)")
    return value
