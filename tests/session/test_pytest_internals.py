"""Private names of pytest and its plugins: used in one package, and existing in this release."""

from __future__ import annotations

import argparse
import ast
import io
import math
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from pytest_benchmark.session import BenchmarkSession

import mlpstorage_bench
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.session.pytest_internals import (
    benchmark_plugin,
    capture,
    command_line,
    mpi_plugin,
    terminal,
    written_files,
)

ROOT = Path(mlpstorage_bench.__file__).parent
HERE = "session/pytest_internals"
FOREIGN = ("_pytest", "pytest_benchmark", "pytest_mpi")
PRIVATE_ATTRIBUTES = {
    *("known_args_namespace", "inicfg", "numprocesses", "workerinput", "xmlpath", "with_mpi"),
    *("_benchmarksession", "_groups", "_anonymous", "_precisions", "_tw", "_inidict"),
    *("own_markers", "noconftest", "getplugin", "stop_global_capturing"),
    *("basetemp", "_tmp_path_factory", "_given_basetemp", "randomly_seed", "has_error", "_mode"),
}


def names_used(path: Path) -> set[str]:
    """Return imported private modules of pytest and its plugins, and used private attributes."""
    used: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            used |= {node.module} if node.module.split(".")[0] in FOREIGN else set()
        elif isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names if alias.name.split(".")[0] in FOREIGN}
        elif isinstance(node, ast.Attribute) and node.attr in PRIVATE_ATTRIBUTES:
            used.add(node.attr)
        elif isinstance(node, ast.Constant) and node.value in PRIVATE_ATTRIBUTES:
            used.add(str(node.value))
    return used


@pytest.mark.slow
def test_private_names_are_used_in_one_package() -> None:
    using = {
        str(path.relative_to(ROOT)): names
        for path in ROOT.rglob("*.py")
        if (names := names_used(path))
    }
    assert {str(Path(place).parent) for place in using} == {HERE}
    assert set().union(*using.values()) >= {
        *("_pytest.capture", "pytest_benchmark.fixture", "_precisions"),
    }


def test_options_known_before_conftests_exist(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig("--mlps-profile=quick")
    known = command_line.known_options(config)
    assert isinstance(known, argparse.Namespace)
    assert known.mlps_profile == ["quick"]
    assert not known.noconftest
    command_line.load_no_conftest(config)
    assert command_line.known_options(config).noconftest


def test_options_for_files_of_rank_0_exist(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfigure(
        *("--junitxml=junit.xml", "--benchmark-json=out.json", "--benchmark-autosave"),
        *("--benchmark-histogram", "--log-file=log.txt"),
    )
    assert set(written_files._RANK_0_ALONE) <= set(vars(config.option))
    session = config._benchmarksession  # type: ignore[attr-defined]
    assert isinstance(session, BenchmarkSession)
    assert set(written_files._BENCHMARK_SESSION_ATTRIBUTES) <= set(vars(session))
    plugins = len(config.pluginmanager.get_plugins())
    written_files.leave_files_to_rank_0(config)
    assert len(config.pluginmanager.get_plugins()) == plugins - 1, "junit XML's is gone"
    assert [session.json, session.autosave, session.histogram] == [None, None, []]
    logging_plugin = config.pluginmanager.getplugin("logging-plugin")
    assert logging_plugin.log_file_handler.stream.name == os.devnull
    config._ensure_unconfigure()


def test_directory_for_basetemp_that_cannot_be_made_is_a_usage_error(
    pytester: pytest.Pytester,
) -> None:
    config = pytester.parseconfig(f"--basetemp={pytester.makefile('.txt', 'text')}/below")
    with pytest.raises(InvalidInputError, match=r"--basetemp: .* Not a directory"):
        written_files.use_own_basetemp(config, 1)


@pytest.mark.parametrize("name", ["html", "_cov", None])
def test_report_that_another_plugin_writes_is_left_to_rank_0(
    pytester: pytest.Pytester, name: str | None
) -> None:
    """pytest-html, pytest-cov and pytest-reportlog register what writes before ranks join."""
    config = pytester.parseconfigure()
    writer = SimpleNamespace(pytest_unconfigure=lambda: None)
    config.pluginmanager.register(writer, name)
    if name is None:
        config._report_log_plugin = writer  # type: ignore[attr-defined]
    written_files.leave_files_to_rank_0(config)
    assert not config.pluginmanager.is_registered(writer)
    config._ensure_unconfigure()


def test_property_is_in_the_junit_xml(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from mlpstorage_bench.session.pytest_internals.junit import add_junit_property

        def test_it(request): add_junit_property(request.config, "color", "blue")
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    pytester.runpytest_subprocess("--junitxml=junit.xml").assert_outcomes(passed=1)
    xml = (pytester.path / "junit.xml").read_text()
    assert '<property name="color" value="blue" />' in xml


def test_capture_is_suspended_and_resumed(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import os
        import pytest
        from mlpstorage_bench.session.pytest_internals.capture import without_capture
        from mlpstorage_bench.session.pytest_internals.terminal import terminal_reporter

        @pytest.hookimpl(wrapper=True)
        def pytest_collection(session):
            result = yield
            assert terminal_reporter(session.config) is not None
            without_capture(session.config, lambda: os.write(1, b"from inside\\n"))
            return result
        """
    )
    pytester.makepyfile("import os\ndef test_it(): os.write(1, b'from the test'); assert 0")
    result = pytester.runpytest_subprocess()
    result.stdout.fnmatch_lines(
        ["from inside", "*Captured stdout call*", "from the test", "*1 failed in *"]
    )


@pytest.mark.parametrize("marks", ["mpi", "mpi_skip"], ids=["marked", "marked as skipped"])
def test_pytest_mpi_is_turned_on_after_it_marked_tests(
    pytester: pytest.Pytester, marks: str
) -> None:
    items, _ = pytester.inline_genitems(
        pytester.makepyfile(f"import pytest\n@pytest.mark.{marks}\ndef test_it(): pass")
    )
    before = [mark.kwargs.get("reason") for mark in items[0].iter_markers("skip")]
    assert before == (["need --with-mpi option to run"] if marks == "mpi" else [])
    mpi_plugin.let_pytest_mpi_run(items[0].config, items)
    after = [mark.kwargs.get("reason") for mark in items[0].iter_markers("skip")]
    assert after == ([] if marks == "mpi" else ["test does not work under mpi"])


def test_benchmark_fixture_takes_precision_and_skips(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import time
        import pytest
        from mlpstorage_bench.session.pytest_internals.benchmark_fixture import (
            TimedTest,
            expect_no_measurement,
            set_timer_precision,
        )

        def timer(): return time.perf_counter()

        @pytest.fixture
        def unused(benchmark):
            yield benchmark
            expect_no_measurement(benchmark)

        def test_precision(unused):
            set_timer_precision(timer, 0.25)
            assert unused._get_precision(timer) == 0.25

        def test_not_measured(unused):
            assert TimedTest(unused, "kvcache").stats is None
            assert not TimedTest(unused, "kvcache").was_used

        def test_measured(benchmark):
            timed = TimedTest(benchmark, "kvcache")
            timed.pedantic(lambda: None, rounds=3, iterations=1)
            assert (timed.stats.stats.rounds, timed.was_used, timed.is_enabled) == (3, True, True)
            timed.close()

        def test_ended_early(benchmark):
            def target(): pytest.fail("enough")
            timed = TimedTest(benchmark, "kvcache")
            with pytest.raises(pytest.fail.Exception):
                timed.pedantic(target, rounds=3, iterations=1)
            timed.close()
            assert benchmark.has_error
        """
    )
    result = pytester.runpytest_subprocess("-W", "error", "--benchmark-max-time=0.1")
    result.assert_outcomes(passed=4)


def test_document_has_null_for_nan_and_infinity() -> None:
    assert benchmark_plugin.as_json_holds({"a": math.inf, "b": 1.5}) == {"a": None, "b": 1.5}


def test_option_names_are_known_if_pytest_accepts_duplicates() -> None:
    parser = SimpleNamespace(_groups=[], _anonymous=SimpleNamespace(options=[]))
    assert command_line.option_names(parser) == set()  # type: ignore[arg-type]


def test_encoding_of_the_terminal_is_that_of_its_file(pytester: pytest.Pytester) -> None:
    reporter = terminal.terminal_reporter(pytester.parseconfigure())
    assert reporter is not None
    assert terminal.encoding_of(reporter).lower() == "utf-8"


def test_text_is_written_as_it_is(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfigure()
    reporter = terminal.terminal_reporter(config)
    assert reporter is not None
    file = reporter._tw._file = io.StringIO()
    terminal.write_raw(reporter, "\x1b[Jraw")
    assert file.getvalue() == "\x1b[Jraw"


@pytest.mark.parametrize(("argument", "is_captured"), [("-s", False), ("--capture=fd", True)])
def test_capture_is_known(pytester: pytest.Pytester, argument: str, is_captured: bool) -> None:  # noqa: FBT001 - a parameter
    assert capture.is_captured(pytester.parseconfig(argument)) is is_captured
