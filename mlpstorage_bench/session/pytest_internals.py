"""Every private or undocumented name of pytest, pytest-benchmark and pytest-mpi that is used here.

tests/session/test_pytest_internals.py fails when a release moves one.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import pytest
import pytest_benchmark
from _pytest._code.code import ExceptionChainRepr, ReprEntry
from _pytest.capture import CaptureManager
from _pytest.junitxml import LogXML, xml_key
from _pytest.logging import LoggingPlugin
from _pytest.outcomes import Exit
from _pytest.terminal import TerminalReporter
from pytest_benchmark import plugin as benchmark_plugin
from pytest_benchmark.fixture import BenchmarkFixture
from pytest_benchmark.utils import safe_dumps

from mlpstorage_bench.errors import InvalidInputError

__all__ = ["Exit", "TerminalReporter"]
# Exit is pytest.exit.Exception with a type; pytest.TerminalReporter exists since pytest 8.4

BENCHMARK_PACKAGE = Path(pytest_benchmark.__file__).parent
"""Directory of pytest-benchmark, whose frames explain no error of a user."""
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

_NEEDS_WITH_MPI = "need --with-mpi option to run"
"""pytest-mpi's reason to skip a test that is marked `mpi`."""


# pytest


def known_options(config: pytest.Config) -> argparse.Namespace:
    """Return the options that are parsed before conftests are loaded."""
    known: argparse.Namespace = config.known_args_namespace
    return known


def keep_file_values(
    config: pytest.Config, parser: pytest.Parser, args: list[str], flags: Collection[str]
) -> None:
    """Make `@FILE` after one of these options its value, as `--option=@FILE` is.

    pytest replaces an argument that begins with @ by the lines of the file: of several hosts, the
    first would be the option's value, and the others paths of tests. Call it before the initial
    conftests are loaded; `args` is changed.
    """
    kept: list[str] = []
    for argument in args:
        if argument.startswith("@") and kept and kept[-1] in flags:
            kept[-1] += f"={argument}"
        else:
            kept.append(argument)
    if kept != args:
        args[:] = kept
        config.known_args_namespace = parser.parse_known_args(
            args, namespace=copy.copy(config.option)
        )


def set_completers(parser: pytest.Parser, completers: Mapping[str, object | None]) -> None:
    """Give options functions for argcomplete that complete their values, or None for its own.

    Before pytest 9.1 its parser makes argparse's anew each time.
    """

    def set_all(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
        for flag, completer in completers.items():
            action = made._option_string_actions.get(flag)  # noqa: SLF001 - argparse has no other
            if action is None:
                continue
            action.completer = completer  # type: ignore[attr-defined] # as argcomplete has it
            if action.nargs == "?":  # argcomplete would repeat the option before its value
                action.nargs = None
        return made

    if hasattr(parser, "_getparser"):
        make = parser._getparser  # noqa: SLF001 - as above
        parser._getparser = lambda: set_all(make())  # noqa: SLF001 - as above
    else:
        set_all(parser.optparser)


def put_reason_first(
    item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException], report: pytest.TestReport
) -> None:
    """Show a failure as its reason, then the lines that led there, without the error's module.

    Only where pytest chooses the form of tracebacks (`--tb=auto`, the default).
    """
    if item.config.getoption("tbstyle", "auto") != "auto":
        return
    shown = item._repr_failure_py(excinfo, style="short")  # noqa: SLF001 - pytest's own for items
    if not isinstance(shown, ExceptionChainRepr) or shown.reprcrash is None:
        return
    module = f"{type(excinfo.value).__module__}."
    shown.reprcrash.message = shown.reprcrash.message.removeprefix(module)
    reason = [f"E   {line}" for line in shown.reprcrash.message.splitlines()]
    entries = shown.reprtraceback.reprentries
    for entry in entries:
        entry.lines = [line for line in entry.lines if not line.startswith("E   ")]
    shown.reprtraceback.reprentries = [ReprEntry(reason, None, None, None, "short"), *entries]
    report.longrepr = shown


def load_no_conftest(config: pytest.Config) -> None:
    """Prevent pytest from loading a conftest; call it before the initial ones are loaded."""
    config.known_args_namespace.noconftest = True


def option_names(parser: pytest.Parser) -> set[str]:
    """Return the names of all options; empty from pytest 9.1, which refuses duplicates itself.

    Before 9.1, a refused registration changes the result of `config.getoption(name)`, and up to
    8.4 argparse refuses it only when it parses the command line.
    """
    if pytest.version_tuple >= (9, 1):
        return set()
    groups = [*parser._groups, parser._anonymous]  # noqa: SLF001 - past versions do not change
    return {name for group in groups for option in group.options for name in option.names()}


def encoding_of(reporter: TerminalReporter) -> str:
    """Return the encoding of pytest's terminal: what it lacks, pytest writes as escapes."""
    return getattr(reporter._tw._file, "encoding", None) or "utf-8"  # noqa: SLF001 - no public name


def write_raw(reporter: TerminalReporter, text: str) -> None:
    """Write text as it is, without a change of the width that pytest has counted."""
    file = reporter._tw._file  # noqa: SLF001 - its own write counts escape sequences as columns
    file.write(text)
    file.flush()


def write_without_colors(config: pytest.Config) -> None:
    """Switch off the colors that pytest chose itself, before or after its reporter exists."""
    asked = ("FORCE_COLOR", "PY_COLORS")
    if config.getoption("color", "no") != "auto" or any(os.environ.get(name) for name in asked):
        return
    config.option.color = "no"
    reporter = terminal_reporter(config)
    if reporter is not None:
        reporter.hasmarkup = reporter._tw.hasmarkup = False  # noqa: SLF001 - no public name


def is_captured(config: pytest.Config) -> bool:
    """Whether pytest captures what tests print; not so under `-s`."""
    return bool(config.option.capture != "no")


def terminal_reporter(config: pytest.Config) -> TerminalReporter | None:
    """Return pytest's terminal reporter; None under `-p no:terminal`."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    return reporter if isinstance(reporter, TerminalReporter) else None


def without_capture(config: pytest.Config, action: Callable[[], None]) -> None:
    """Run an action while pytest has restored the standard streams, then capture them again.

    Call it between tests, when pytest has suspended its capture.
    """
    manager = config.pluginmanager.getplugin("capturemanager")
    if not isinstance(manager, CaptureManager):
        action()
        return
    manager.stop_global_capturing()
    action()
    manager.start_global_capturing()
    manager.suspend_global_capture()


@contextmanager
def uncaptured(config: pytest.Config) -> Iterator[None]:
    """Suspend pytest's capture inside, so that a running test can write to the terminal."""
    manager = config.pluginmanager.getplugin("capturemanager")
    if not isinstance(manager, CaptureManager):
        yield
        return
    with manager.global_and_fixture_disabled():
        yield


JunitOutcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class JunitCase:
    """A test case of a junit file that no test of pytest stands for."""

    name: str
    """A name like a node id: `where::name`."""
    outcome: JunitOutcome
    reason: str
    properties: Mapping[str, str]


def junit_path(options: argparse.Namespace) -> Path | None:
    """Return the junit file that `--junitxml` names."""
    return Path(options.xmlpath) if options.xmlpath else None


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


def write_junit(path: Path, suite: str, cases: Iterable[JunitCase]) -> None:
    """Write a junit file as pytest writes it for tests; OSError if that is impossible."""
    xml = LogXML(str(path), None, suite)
    xml.pytest_sessionstart()
    for case in cases:
        place = case.name.partition("::")[0]
        longrepr = (place, 0, case.reason) if case.outcome == "skipped" else case.reason
        report = pytest.TestReport(
            case.name, (place, 0, case.name), {}, case.outcome, longrepr, "call"
        )
        xml.pytest_runtest_logreport(report)
        for name, value in case.properties.items():
            xml.node_reporter(report).add_property(name, value)
    xml.pytest_sessionfinish()


def add_junit_property(config: pytest.Config, name: str, value: str) -> None:
    """Add a property of the suite to the junit XML, if one is written."""
    xml = config.stash.get(xml_key, None)
    if xml is not None:
        xml.add_global_property(name, value)


def add_junit_case(config: pytest.Config, reports: Sequence[pytest.TestReport]) -> None:
    """Add a test case that no test ran to the junit XML, if one is written."""
    xml = config.stash.get(xml_key, None)
    if xml is not None:
        for report in reports:
            xml.pytest_runtest_logreport(report)


def starts_workers(config: pytest.Config) -> bool:
    """Whether this process starts workers of pytest-xdist (`-n`, or `--dist` with `--tx`)."""
    option = config.option
    return bool(getattr(option, "numprocesses", None)) or getattr(option, "dist", "no") != "no"


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of pytest-xdist."""
    return hasattr(config, "workerinput")


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


def random_seed(config: pytest.Config) -> object:
    """Return pytest-randomly's seed; None without that plugin."""
    return getattr(config.option, "randomly_seed", None)


def set_random_seed(config: pytest.Config, seed: object) -> None:
    """Set pytest-randomly's seed, from which it seeds the generators before each test."""
    if seed is not None:
        config.option.randomly_seed = seed


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


# pytest-mpi


def let_pytest_mpi_run(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Turn pytest-mpi on, also for tests that it has already marked as skipped."""
    config.option.with_mpi = True
    skipped = [item for item in items if "mpi" in item.keywords and _lift_skip(item)]
    if not skipped and not any(name in item.keywords for item in items for name in _MPI_MARKERS):
        return
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__module__ == "pytest_mpi":
            plugin.pytest_collection_modifyitems(config, list(items))


def hide_mpi_information(config: pytest.Config) -> None:
    """Keep pytest-mpi's section out of the summary, unless the user has asked for that plugin.

    Call it before the summary.
    """
    asked = {"--with-mpi", "--only-mpi"} & {*_words_given(config)}
    for plugin in () if asked else config.pluginmanager.get_plugins():
        if type(plugin).__module__ == "pytest_mpi":
            plugin._is_testing_mpi = False  # noqa: SLF001 - no public way


def _words_given(config: pytest.Config) -> list[str]:
    """Return the arguments of the command line, of PYTEST_ADDOPTS and of `addopts`."""
    from_environment = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    return [*map(str, config.invocation_params.args), *from_environment, *config.getini("addopts")]


_MPI_MARKERS = ("mpi_skip", "mpi_xfail", "mpi_break")


def _lift_skip(item: pytest.Item) -> bool:
    """Remove pytest-mpi's skip marker from a test; return whether there was one."""
    marks = [mark for mark in item.own_markers if mark.kwargs.get("reason") == _NEEDS_WITH_MPI]
    for mark in marks:
        item.own_markers.remove(mark)
    return bool(marks)


# pytest-benchmark


def has_benchmark_plugin(config: pytest.Config) -> bool:
    """Whether pytest-benchmark is loaded, under its short name or its module's."""
    names = {getattr(plugin, "__name__", "") for plugin in config.pluginmanager.get_plugins()}
    return "pytest_benchmark.plugin" in names


_RUN_ORDER = "run order"
"""Key by which pytest-benchmark's table is sorted, in place of one of its own."""
_COMPACT = ["min", "mean", "max", "rounds"]


def shape_benchmark_table(config: pytest.Config) -> None:
    """Give pytest-benchmark's table few columns and the order of the run.

    Columns and an order that the user has set stay.
    """
    session = getattr(config, "_benchmarksession", None)
    if session is None:
        return
    given = [word.partition("=")[0] for word in _words_given(config)]
    if "--benchmark-columns" not in given:
        session.columns = _COMPACT
    if "--benchmark-sort" not in given:
        session.sort = _RUN_ORDER


def number_benchmarks(benchmarks: Sequence[dict[str, Any]]) -> None:
    """Number pytest-benchmark's results in the order in which they are: that of the run."""
    for number, benchmark in enumerate(benchmarks):
        benchmark[_RUN_ORDER] = number


def unit_of_benchmarks(config: pytest.Config, sort: str, **arguments: Any) -> object:
    """Return pytest-benchmark's unit for a table in the order of the run; None for another."""
    if sort != _RUN_ORDER:
        return None
    scale: Callable[..., object] = benchmark_plugin.pytest_benchmark_scale_unit
    return scale(config=config, sort="name", **arguments)


_MEASURING = ("_raw", "_raw_pedantic")
"""Methods of the benchmark fixture that measure a function."""


def _refuse_measurement(*_arguments: object, **_more: object) -> NoReturn:
    raise InvalidInputError(
        "benchmark",
        "a function, in a test with the argument kvcache",
        "kvcache.run, which is measured by its own clock",
        hint="Measure the function in a test of its own",
    )


class TimedTest:
    """A test's benchmark fixture, as benchmark types use it."""

    def __init__(self, benchmark: Any) -> None:
        self._benchmark = benchmark
        self._mode: object = None
        """pytest-benchmark's mark of a fixture that has measured."""
        self._refuse_others()

    def _refuse_others(self) -> None:
        for name in _MEASURING:  # an attribute of the object hides the method of its class
            setattr(self._benchmark, name, _refuse_measurement)

    def close(self) -> None:
        """Tell pytest-benchmark that the test has measured; call it after the test."""
        if self._mode is not None:
            self._benchmark._mode = self._mode  # noqa: SLF001 - no public way

    @property
    def extra_info(self) -> dict[str, object]:
        """Additional values for pytest-benchmark's JSON."""
        extra_info: dict[str, object] = self._benchmark.extra_info
        return extra_info

    @property
    def stats(self) -> Any:
        """Statistics; None before the first round."""
        return self._benchmark.stats

    @property
    def was_used(self) -> bool:
        """Whether the test has measured a function; pytest-benchmark times one of each test."""
        return self._mode is not None or self._benchmark._mode is not None  # noqa: SLF001 - no public way

    @property
    def is_enabled(self) -> bool:
        """Whether rounds are timed; under `--benchmark-disable` there is one call."""
        return bool(self._benchmark.enabled)

    def pedantic(self, target: Callable[[], object], *, rounds: int, iterations: int) -> object:
        """Run the target `rounds` times and time each."""
        for name in _MEASURING:
            vars(self._benchmark).pop(name, None)
        try:
            result: object = self._benchmark.pedantic(target, rounds=rounds, iterations=iterations)
        except BaseException:
            # pytest-benchmark does this for an Exception; pytest.fail and an interrupt are none
            self._benchmark.has_error = True
            raise
        finally:
            # With the mark, pytest-benchmark would refuse another function in its own words.
            self._mode, self._benchmark._mode = self._benchmark._mode, None  # noqa: SLF001 - no public way
            self._refuse_others()
        return result


def set_timer_precision(timer: Callable[[], float], precision: float) -> None:
    """Set a timer's precision, which pytest-benchmark would otherwise measure itself."""
    precisions: dict[Any, float] = BenchmarkFixture._precisions  # noqa: SLF001 - no public way
    precisions[timer] = precision


def expect_no_measurement(benchmark: Any) -> None:
    """Prevent pytest-benchmark's warning about a test that ended before its measurement."""
    benchmark.skipped = True


def as_json_holds(document: object) -> object:
    """Return a document as pytest-benchmark writes it, with null for NaN and infinity."""
    dumps: Callable[[object], str] = safe_dumps
    plain: object = json.loads(dumps(document), parse_constant=lambda _constant: None)
    return plain
