"""Launch of the ranks by the plugin: once, with unchanged output and exit status."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from mlpstorage_bench.process.stderr import ABORT_STATUS
from tests.session.tiny import TINY
from tests.variants import first_of

pytestmark = pytest.mark.launches_mpi
TWO_RANKS = [
    *("--mlps-num-processes=2", "--mlps-oversubscribe"),
    *(["--mlps-allow-run-as-root"] if os.geteuid() == 0 else []),
]


def test_launched_ranks_get_the_arguments_once(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers =\n    odd: one marker")
    pytester.makeconftest(
        """
        def pytest_addoption(parser):
            parser.addoption("--text")
        """
    )
    text = "a  'b' $HOME; \"c\" * ü"
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.odd
        def test_two_ranks(mpi_comm, pytestconfig):
            assert mpi_comm.size == 2
            assert pytestconfig.inipath.name == "tox.ini"
            assert pytestconfig.getoption("--text") == {text!r}
            with open(f"ran-{{mpi_comm.rank}}", "a") as file:
                file.write("once")

        def test_not_selected():
            raise AssertionError
        """
    )
    result = pytester.runpytest_subprocess(
        *TWO_RANKS, "--text", text, "-k", "two_ranks", "--strict-markers"
    )
    assert result.ret == 0
    result.assert_outcomes(passed=1, deselected=1)
    ran = {path.name: path.read_text() for path in pytester.path.glob("ran-*")}
    assert ran == {"ran-0": "once", "ran-1": "once"}
    result.stdout.fnmatch_lines(["mlpstorage: launching *-n 2 -host localhost:2 *-m pytest*"])


def test_output_of_ranks_is_shown_as_before_and_kept_in_the_run(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_run(kvcache, capfd):
            kvcache.run(1)
            with capfd.disabled():
                print("\\x1b[31mred\\x1b[0m \\x07 password=hunter2")
                print("\\x1b]0;title\\x07 api_key=hunter2", file=sys.stderr)
        """
    )
    result = pytester.runpytest_subprocess(*TWO_RANKS, *TINY, "--mlps-set=storage=null")
    assert result.ret == 0
    (path,) = pytester.path.rglob("*_metadata.json")
    (launch,) = json.loads(path.read_text())["command_output_files"]
    time = path.parent.name
    for name in ("stdout", "stderr"):
        assert launch[name] == str(path.parent / f"kvcache_run_{time}.{name}.log")
    shown, kept = result.stdout.str(), Path(launch["stdout"]).read_text()
    assert "\x1b[31mred\x1b[0m \x07 password=hunter2" in shown
    assert "red \\x07 password=***\n" in kept
    last = next(line for line in reversed(shown.splitlines()) if "1 passed" in line)
    assert f"{last}\n" in kept
    assert Path(launch["stderr"]).read_text().count("\\x1b]0;title\\x07 api_key=***\n") == 2
    assert result.stderr.str().count("api_key=hunter2") == 2


@pytest.mark.long
def test_custom_exit_status_is_returned(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_something(): import pytest; pytest.exit('enough', returncode=9)")
    assert pytester.runpytest_subprocess(*TWO_RANKS).ret == 9


def test_invalid_input_is_reported_before_launch(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess(*TWO_RANKS, "--mlps-profile=quik")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "launching" not in result.stdout.str()
    assert result.stderr.str().count("Did you mean 'quick'?") == 1


@pytest.mark.parametrize(
    "option", first_of("--help", "--version", "--markers", "--fixtures", "--co")
)
def test_printing_options_start_no_ranks(pytester: pytest.Pytester, option: str) -> None:
    pytester.makepyfile("def test_something(): pass")
    result = pytester.runpytest_subprocess(*TWO_RANKS, option)
    assert result.ret == 0
    assert "launching" not in result.stdout.str()


def test_launcher_success_without_a_session_is_a_failure(
    pytester: pytest.Pytester,
) -> None:
    fake = pytester.path / "mpirun"
    fake.write_text('#!/bin/sh\ncase "$1" in --version) echo "mpirun (Open MPI) 9";; esac\n')
    fake.chmod(0o755)
    pytester.makepyfile("def test_something(): pass")
    result = pytester.runpytest_subprocess("--mlps-num-processes=2", f"--mlps-mpi-bin={fake}")
    assert result.ret == ABORT_STATUS
    (line,) = [one for one in result.errlines if "the launcher reports success, but" in one]
    assert line.startswith("mlpstorage: the launcher reports success, but no rank started; hosts")
    assert "--mlps-allow-run-as-root" not in line, "a launcher that refuses root fails"


@pytest.mark.long
def test_colour_is_kept_for_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("def test_something(): pass")
    terminal, ours = pty.openpty()
    command = [sys.executable, "-m", "pytest", *TWO_RANKS, "-p", "no:cacheprovider"]
    child = subprocess.Popen(
        command, cwd=tmp_path, stdout=ours, stderr=ours, stdin=subprocess.DEVNULL
    )
    os.close(ours)
    output = b""
    try:
        while part := os.read(terminal, 65536):
            output += part
    except OSError:
        pass  # Linux returns EIO when the other side is closed
    os.close(terminal)
    assert child.wait() == 0
    assert b"\x1b[32m" in output
    assert b"1 passed" in output
