"""Commands that print and exit, called by a program through pytest.main."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.past_runs import leave_run

PROGRAM = """
import contextlib, io, sys
import pytest

captured = io.StringIO()
with contextlib.redirect_stdout(captured):
    status = pytest.main(sys.argv[1:])
print(f"status {int(status)}, {len(captured.getvalue())} characters, interpreter goes on")
"""


@pytest.fixture
def results(pytester: pytest.Pytester) -> Path:
    """A results directory with one run, in a project whose conftest must not be loaded."""
    folder = pytester.mkdir("results")
    leave_run(folder, 1)
    pytester.makeconftest("raise RuntimeError('no conftest takes part')")
    return folder


COMMANDS = {
    "history": (["--mlps-history"], 0),
    "one run": (["--mlps-history=20261101_1201"], 0),
    "trend": (["--mlps-history-trend=read_gib_s"], 0),
    "rebuild": (["--mlps-history-rebuild"], 0),
    "no such run": (["--mlps-history=2020"], 4),
    "gate of no such run": (["--mlps-gate=2020"], 4),
    "sizes": (["--mlps-datasize"], 0),
    "no file to convert": (["--mlps-convert=nowhere.json"], 4),
    "no trace": (["--mlps-fio-job=nowhere.csv"], 4),
    "history without a terminal": (["--mlps-history", "-p", "no:terminal"], 0),
    "misspelt option": (["--mlps-history", "--mlps-histroy-last=2"], 4),
}
IN_EACH_RUN = ("history", "gate of no such run")
"""Commands that `make test` tries; `make test-long` tries all."""


@pytest.mark.parametrize(
    ("options", "status"),
    [
        pytest.param(*value, marks=[] if name in IN_EACH_RUN else pytest.mark.long, id=name)
        for name, value in COMMANDS.items()
    ],
)
def test_command_returns_its_status_and_prints_to_the_current_stdout(
    pytester: pytest.Pytester, results: Path, options: list[str], status: int
) -> None:
    arguments = [f"--mlps-results-dir={results}", *options]
    result = pytester.run(sys.executable, "-c", PROGRAM, *arguments)
    assert result.ret == 0, "the program comes to its end"
    (line,) = result.outlines
    assert line.startswith(f"status {status}, ")
    assert (" 0 characters" in line) == (status == pytest.ExitCode.USAGE_ERROR)
    if status == pytest.ExitCode.USAGE_ERROR:
        assert result.stderr.str().startswith("ERROR: ")


def test_command_in_a_test_prints_to_its_captured_output(
    pytester: pytest.Pytester, results: Path
) -> None:
    (pytester.path / "conftest.py").unlink()
    pytester.makepyfile(
        f"""
        import pytest

        def test_history(capsys):
            status = pytest.main(["--mlps-history", "--mlps-results-dir={results}"])
            assert status == 0
            assert "20261101_1201" in capsys.readouterr().out
        """
    )
    result = pytester.runpytest_subprocess("-rP")
    result.assert_outcomes(passed=1)
    assert "20261101_1201" not in result.stdout.str()


def test_command_works_where_addopts_has_an_option_of_a_conftest(
    pytester: pytest.Pytester, results: Path
) -> None:
    pytester.makeini("[pytest]\naddopts = --theirs=1 tests_dir")
    result = pytester.runpytest_subprocess("--mlps-history", f"--mlps-results-dir={results}")
    assert result.ret == 0
    assert "20261101_1201" in result.stdout.str()


@pytest.mark.long
def test_rerun_through_pytest_main_is_a_child_whose_status_is_returned(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_it(mlps_run): mlps_run.record('one', 1)")
    assert pytester.runpytest_subprocess("--mlps-results-dir=results").ret == 0
    pytester.makepyfile(test_rerun_again="def test_it(): assert 0, 'only the second time'")
    (metadata,) = (pytester.path / "results").rglob("*_metadata.json")
    rerun = ["--mlps-results-dir=results", f"--mlps-history-rerun={metadata.parent.name}"]
    result = pytester.run(sys.executable, "-c", PROGRAM, *rerun)
    assert result.ret == 0
    assert result.outlines[-1].startswith("status 1, ")
    assert len([*(pytester.path / "results").rglob("*_metadata.json")]) == 2
