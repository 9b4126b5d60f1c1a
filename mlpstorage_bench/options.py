"""Every command-line option, declared once, and the frozen Settings made of them."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.past_run import STATUSES
from mlpstorage_bench.mpi.hosts import Host, Layout, lay_out, parse_hosts
from mlpstorage_bench.mpi.launchers.launcher import TRANSPORTS, LaunchFlags
from mlpstorage_bench.names import check_segment
from mlpstorage_bench.request import PlanRequest

GROUP = "mlpstorage"
ALIASES_INI = "mlps_reference_aliases"
GRACE_INI = "mlps_failure_grace"
STARTUP_INI = "mlps_startup_limit"

RESULTS_DIR_VARIABLE = "MLPERF_RESULTS_DIR"
SYSTEM_NAME_VARIABLE = "MLPERF_SYSTEMNAME"
SETTING_VARIABLES = (RESULTS_DIR_VARIABLE, SYSTEM_NAME_VARIABLE, "PYTEST_ADDOPTS")
"""Variables by which a command means something else."""

TAG_OPTION = "--mlps-tag"
DEFAULT_LOOKS = 4

DEFAULT_PROFILE = "quick"
CLOSED_PROFILE = "mlperf"


@dataclass(frozen=True)
class Option:
    """One option `--mlps-NAME`, and the name under which the reference knows it."""

    name: str
    help: str
    reference_name: str | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return f"--mlps-{self.name}"

    @property
    def dest(self) -> str:
        """Its attribute in pytest's namespace."""
        return "mlps_" + self.name.replace("-", "_")


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; accepted: a whole number from 1")
    return value


def _seed(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"got {text!r}; accepted: a whole number from 0")
    return value


def _duration(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text!r}; accepted: a number of seconds above 0")
    return value


_SWITCH: Mapping[str, Any] = {"action": "store_true"}
_A_NAME: Mapping[str, Any] = {"metavar": "NAME"}

HISTORY_OPTIONS = (
    Option(
        "history-last",
        "List only so many runs, the newest of those that the other filters leave.",
        None,
        {"type": _positive, "metavar": "N"},
    ),
    Option("history-model", "List only runs of this model; may be a glob.", None, _A_NAME),
    Option(
        "history-test",
        "List only runs with this case, or with this test by its node id; may be a glob, like "
        "'*test_option*'.",
        None,
        _A_NAME,
    ),
    Option(
        "history-mode",
        "List only runs of this mode.",
        None,
        {"choices": ("open", "closed", "whatif")},
    ),
    Option("history-host", "List only runs that had this host; may be a glob.", None, _A_NAME),
    Option(
        "history-since",
        "List only runs since then: a date like 2026-11-24, or an age like 7d or 24h.",
        None,
        {"metavar": "WHEN"},
    ),
    Option(
        "history-status",
        "List only runs that ended so, or are running.",
        None,
        {"choices": STATUSES},
    ),
    Option(
        "history-tag",
        "List only runs with this tag, given by --mlps-tag; may be a glob.",
        None,
        _A_NAME,
    ),
    Option(
        "history-format",
        "What --mlps-history prints: a table for people (default), or all of it as json or csv.",
        None,
        {"choices": ("table", "json", "csv")},
    ),
    Option(
        "history-rerun",
        "Run the command of an earlier run again, in its directory: the run with this id, or the "
        "only one that begins so.",
        None,
        {"metavar": "ID"},
    ),
    Option(
        "history-trend",
        "Draw a metric of the runs over time, like read_gib_s or read_p95_ms, for each case, and "
        "exit. Filters apply.",
        None,
        {"metavar": "METRIC"},
    ),
    Option(
        "history-rebuild",
        "Make the index of the history again from the metadata files, and exit.",
        None,
        _SWITCH,
    ),
)

GATE_OPTIONS = (
    Option(
        "gate",
        "After the run, compare it with a baseline and fail when it got worse; with =ID (or its "
        "beginning), compare that earlier run, and exit.",
        None,
        {"nargs": "?", "const": "", "metavar": "ID"},
    ),
    Option(
        "baseline",
        "What to compare with: last (default) or last:N, the newest N (10) comparable runs; "
        "tag:NAME or branch:NAME, the newest 10 of these; run:ID; or file:PATH, a run's metadata.",
        None,
        {"metavar": "WHICH"},
    ),
    Option(
        "gate-rule",
        "What is asked of a metric: 'read_bandwidth: -10%%' (less is worse, and 10 %% matters), "
        "'read_p95: +20%%', '<= 20 ms', '>= 3 GiB/s', off; CASE/METRIC for one case. Repeatable.",
        None,
        {"action": "append", "metavar": "RULE"},
    ),
    Option(
        "gate-across",
        "Compare also with runs of other workloads or systems, which is refused otherwise.",
        None,
        _SWITCH,
    ),
    Option(
        "gate-undecided",
        "What an undecided metric means: pass (default), fail, or retry: run more trials until it "
        "is decided, and fail if it never is.",
        None,
        {"choices": ("pass", "fail", "retry")},
    ),
    Option(
        "gate-looks",
        "How often the trials may be looked at with retry, each time with as many more. Default: "
        f"{DEFAULT_LOOKS}",
        None,
        {"type": _positive, "metavar": "N"},
    ),
    Option(
        "gate-no-baseline",
        "What it means when a case has nothing to be compared with: error (default; exit status "
        "4), or pass, for a first run.",
        None,
        {"choices": ("error", "pass")},
    ),
    Option(
        "gate-selftest",
        "The A/A control: run every case twice as often, and gate one half of its trials against "
        "the other. Anything but passed or undecided fails.",
        None,
        _SWITCH,
    ),
    Option(
        "gate-report",
        "Also write the verdicts to FILE: .json or .md. Repeatable.",
        None,
        {"action": "append", "metavar": "FILE"},
    ),
)

OPTIONS = (
    # where
    Option(
        "hosts",
        "Hosts to run on: NAME or NAME:SLOTS, as a comma list, or @FILE with one of these a line. "
        "Repeatable. Outside a launcher this starts the ranks there; under one it is checked "
        "against the hosts that the ranks really are on.",
        "hosts",
        {"action": "append", "metavar": "HOSTS"},
    ),
    Option(
        "exec-type",
        "mpi (default): start ranks through mpirun when hosts or a number of ranks are given and "
        "this process is not yet a rank. local: always run here, as one process.",
        "exec-type",
        {"choices": ("mpi", "local")},
    ),
    Option(
        "num-processes",
        "Number of ranks in all; a rank is one MPI process and stands for one client. Must divide "
        "evenly over the hosts. Default: one per host.",
        "num-processes",
        {"type": _positive, "metavar": "N"},
    ),
    Option(
        "npernode",
        "Number of ranks on each host.",
        "npernode",
        {"type": _positive, "metavar": "N"},
    ),
    Option(
        "mpi-bin",
        "The mpirun, mpiexec or srun to start ranks with, by name or path. Default: the one of "
        "this Python environment, else the one on PATH.",
        "mpi-bin",
        {"metavar": "PATH"},
    ),
    Option(
        "oversubscribe",
        "Let mpirun start more ranks on a host than it has cores or slots.",
        "oversubscribe",
        _SWITCH,
    ),
    Option(
        "allow-run-as-root",
        "Let mpirun run as root, which Open MPI refuses otherwise.",
        "allow-run-as-root",
        _SWITCH,
    ),
    Option(
        "mpi-params",
        "Further arguments for mpirun, quoted as in a shell: --mlps-mpi-params='--mca btl tcp,self'"
        ". Repeatable.",
        "mpi-params",
        {"action": "append", "metavar": "ARGS"},
    ),
    Option(
        "mpi-btl",
        "How ranks talk, with Open MPI: auto (default) leaves it the choice; vader is shared memory"
        ", on one host; tcp is sockets, which works in containers too.",
        "mpi-btl",
        {"choices": TRANSPORTS},
    ),
    # when something goes wrong
    Option(
        "timeout",
        "Seconds that a test may take, with its setup and teardown. After that every rank prints "
        "the stacks of its threads, and the session ends with status 86. Default: no limit, as a "
        "test's workload may take hours.",
        None,
        {"type": _duration, "metavar": "SECONDS"},
    ),
    Option(
        "grace",
        "Seconds that other ranks may take to arrive once a rank has failed, and a launcher to end "
        f"once its ranks have. Default: {GRACE_INI} of the ini-file (30).",
        None,
        {"type": _duration, "metavar": "SECONDS"},
    ),
    # what
    Option(
        "profile",
        "The workload: quick (default; a small one to try things out, not comparable to MLPerf), "
        "mlperf (the three sanctioned options), or the path of your own YAML file.",
        None,
        {"metavar": "NAME|FILE"},
    ),
    Option(
        "mode",
        "open (default): everything may be set. closed: MLPerf's sanctioned workload, in which "
        "only the system under test may vary. whatif: print what would run, and touch nothing.",
        None,
        {"choices": ("open", "closed", "whatif")},
    ),
    Option(
        "set",
        "Change a parameter of the profile: duration=5 for every option of it, "
        "options.1.duration=5 for one. Repeatable.",
        None,
        {"action": "append", "metavar": "KEY=VALUE"},
    ),
    Option(
        "cache-dir",
        "Where cache files are written and read: a directory on the storage to be measured. Each "
        "rank uses DIR/rank_N, which is removed at the end. Default: ./mlps-cache",
        None,
        {"metavar": "DIR"},
    ),
    Option(
        "seed",
        "Seed of the request stream; a rank uses seed + rank. The same profile, seed and rank give "
        "the same requests. Default: the profile's (42).",
        None,
        {"type": _seed, "metavar": "N"},
    ),
    Option(
        "trials",
        "Number of timed repetitions of each test. Default: the profile's (3).",
        None,
        {"type": _positive, "metavar": "N"},
    ),
    # results
    Option(
        "results-dir",
        "Where runs are kept, and looked for by --mlps-history. Default: the environment's "
        f"{RESULTS_DIR_VARIABLE}, else ./mlps-results",
        None,
        {"metavar": "DIR"},
    ),
    Option(
        "orgname",
        "Organisation under which runs are filed. Default: local",
        None,
        {"metavar": "NAME"},
    ),
    Option(
        "systemname",
        "System under test under which runs are filed. Default: the environment's "
        f"{SYSTEM_NAME_VARIABLE}, else the name of rank 0's host.",
        None,
        {"metavar": "NAME"},
    ),
    Option(
        "tag",
        "A name by which this run can be found later, like nightly or before-upgrade. Repeatable.",
        None,
        {"action": "append", "metavar": "NAME"},
    ),
    Option(
        "report",
        "Also write a report of this run to FILE: .md for Markdown, .html for a page. Repeatable.",
        None,
        {"action": "append", "metavar": "FILE"},
    ),
    # instead of running
    Option(
        "history",
        "List the runs in the results directory, newest last, and exit; with =ID (or its "
        "beginning), show one run in full.",
        None,
        {"nargs": "?", "const": "", "metavar": "ID"},
    ),
    *HISTORY_OPTIONS,
    *GATE_OPTIONS,
    Option(
        "datasize",
        "Tell how much storage and memory the profile takes on each rank and host, and whether it "
        "fits here, as a table or (=json) as JSON, and exit.",
        None,
        {"nargs": "?", "const": "table", "choices": ("table", "json")},
    ),
    Option(
        "convert",
        "Convert the JSON that pytest-benchmark wrote in an earlier run to the results tree, and "
        "exit.",
        None,
        {"metavar": "FILE"},
    ),
    Option(
        "fio-job",
        "Print an fio job distilled from a trace of operations (as of --mlps-set trace_out=FILE), "
        "and exit.",
        None,
        {"metavar": "TRACE"},
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option under its own name, and the ini settings."""
    group = parser.getgroup(GROUP)
    for option in OPTIONS:
        group.addoption(option.flag, dest=option.dest, help=option.help, **option.keywords)
    parser.addini(
        ALIASES_INI,
        "let options also answer to the reference's names (--hosts, --exec-type, …)",
        type="bool",
        default=True,
    )
    parser.addini(
        GRACE_INI,
        "seconds that other ranks may take to arrive once a rank has failed; then all are aborted",
        default="30",
    )
    parser.addini(
        STARTUP_INI,
        "seconds that ranks may take to come together at the start; then they end",
        default="600",
    )


def add_reference_names(parser: pytest.Parser) -> list[str]:
    """Let options answer to the reference's names too; return those that others own.

    To be called after the initial conftests are loaded: a second registration of a name raises in
    whichever plugin comes second, and this way that is always us.
    """
    group = parser.getgroup(GROUP)
    taken = []
    for option in OPTIONS:
        if option.reference_name is None:
            continue
        flag = f"--{option.reference_name}"
        keywords = {**option.keywords, "dest": option.dest, "default": argparse.SUPPRESS}
        try:
            group.addoption(flag, help=f"The reference's name of {option.flag}.", **keywords)
        except (ValueError, argparse.ArgumentError):
            taken.append(flag)
    return taken


@dataclass(frozen=True)
class GateSettings:
    """Whether and how a run is compared with earlier ones."""

    is_wanted: bool = False
    baseline: str | None = None
    rules: tuple[str, ...] = ()
    across: bool = False
    undecided: str = "pass"
    looks: int = DEFAULT_LOOKS
    no_baseline: str = "error"
    is_selftest: bool = False
    reports: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What this session was asked to do. None means that the user left it to the profile."""

    hosts: tuple[Host, ...]
    exec_type: str
    num_processes: int | None
    npernode: int | None
    mpi_bin: str | None
    launch_flags: LaunchFlags
    profile: str
    mode: str
    overrides: tuple[tuple[str, str], ...]
    """Pairs of --mlps-set: dotted path into the profile, value as typed."""
    cache_dir: Path
    seed: int | None
    trials: int | None
    results_dir: Path
    orgname: str
    systemname: str | None
    tags: tuple[str, ...]
    """Names by which the run can be found."""
    reports: tuple[Path, ...]
    gate: GateSettings
    failure_grace_s: float
    timeout_s: float | None
    """Longest time for one test; None for no limit."""
    user_set: Mapping[str, Any]
    """Options that the user gave, by name without prefix; what is not here is a default."""

    @property
    def wants_ranks(self) -> bool:
        """Whether the options ask for ranks beyond this process."""
        given = self.hosts or self.num_processes or self.npernode
        return self.exec_type == "mpi" and bool(given)

    def plan_request(self) -> PlanRequest:
        """What is asked of a benchmark type."""
        return PlanRequest(
            profile=self.profile,
            mode=self.mode,
            overrides=self.overrides,
            seed=self.seed,
            trials=self.trials,
            cache_dir=self.cache_dir,
            results_dir=self.results_dir,
            user_set=self.user_set,
        )

    def layout(self) -> Layout:
        """Where the ranks go; raises InvalidInputError when they cannot be laid out so."""
        return lay_out(self.hosts, num_processes=self.num_processes, npernode=self.npernode)


def read_settings(
    options: argparse.Namespace, environ: Mapping[str, str], failure_grace: str = "30"
) -> Settings:
    """Make Settings of pytest's parsed options; raises InvalidInputError for what is unusable."""
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
        profile=given.get("profile", CLOSED_PROFILE if mode == "closed" else DEFAULT_PROFILE),
        mode=mode,
        overrides=_parse_assignments(given.get("set", ())),
        cache_dir=Path(given.get("cache-dir", "mlps-cache")).absolute(),
        seed=given.get("seed"),
        trials=given.get("trials"),
        results_dir=results_dir(options, environ),
        orgname=check_segment("--mlps-orgname", given.get("orgname", "local")),
        systemname=_system_name(given, environ),
        tags=tuple(dict.fromkeys(check_segment(TAG_OPTION, tag) for tag in given.get("tag", ()))),
        reports=_check_reports(given.get("report", ())),
        gate=gate_settings(given),
        failure_grace_s=given.get("grace", _seconds(GRACE_INI, failure_grace)),
        timeout_s=given.get("timeout"),
        user_set=given,
    )
    settings.layout()
    return settings


def gate_settings(given: Mapping[str, Any]) -> GateSettings:
    """Return what was said of the gate; saying anything of it asks for it."""
    of_gate = {option.name for option in GATE_OPTIONS} & given.keys()
    return GateSettings(
        is_wanted=bool(of_gate),
        baseline=given.get("baseline"),
        rules=tuple(given.get("gate-rule", ())),
        across=given.get("gate-across", False),
        undecided=given.get("gate-undecided", "pass"),
        looks=given.get("gate-looks", DEFAULT_LOOKS),
        no_baseline=given.get("gate-no-baseline", "error"),
        is_selftest=given.get("gate-selftest", False),
        reports=tuple(Path(path).absolute() for path in given.get("gate-report", ())),
    )


def given_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that the user gave, by name without prefix."""
    return {
        option.name: getattr(options, option.dest)
        for option in OPTIONS
        if getattr(options, option.dest, None) not in (None, False)
    }


def results_dir(options: argparse.Namespace, environ: Mapping[str, str]) -> Path:
    """Where runs are kept: the option, else the environment's, else ./mlps-results."""
    given = getattr(options, "mlps_results_dir", None)
    return Path(given or environ.get(RESULTS_DIR_VARIABLE) or "mlps-results").absolute()


def _system_name(given: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    if "systemname" in given:
        return check_segment("--mlps-systemname", given["systemname"])
    if environ.get(SYSTEM_NAME_VARIABLE):
        return check_segment(SYSTEM_NAME_VARIABLE, environ[SYSTEM_NAME_VARIABLE])
    return None


def _split_mpi_params(values: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    words: list[str] = []
    for value in values:
        try:
            words += shlex.split(value)
        except ValueError as error:
            raise InvalidInputError(
                "--mlps-mpi-params", value, "arguments quoted as in a shell", hint=str(error)
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


def _check_reports(values: tuple[str, ...] | list[str]) -> tuple[Path, ...]:
    paths = tuple(Path(value).absolute() for value in values)
    for path in paths:
        if path.suffix not in (".md", ".html"):
            raise InvalidInputError("--mlps-report", str(path), "a file name in .md or .html")
        if not path.parent.is_dir():
            raise InvalidInputError("--mlps-report", str(path), "a file in a directory that exists")
    return paths


def startup_limit_s(config: pytest.Config) -> float:
    """Return how long ranks may take to come together."""
    return _seconds(STARTUP_INI, str(config.getini(STARTUP_INI)))


def grace_s(config: pytest.Config, known: argparse.Namespace) -> float:
    """Return the grace, as far as it is known before all options are."""
    given = getattr(known, "mlps_grace", None)
    return float(given or _seconds(GRACE_INI, str(config.getini(GRACE_INI))))


def _seconds(source: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise InvalidInputError(source, text, "a number of seconds from 0")
    return value
