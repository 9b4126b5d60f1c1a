"""Commands answer on every terminal: in ASCII, and into a pipe that nobody reads to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.past_runs import leave_run
from tests.variants import first_of

PROFILE = ("--mlps-set=storage_capacity_gb=1", "--mlps-set=duration=1")


@pytest.fixture
def results(pytester: pytest.Pytester) -> Path:
    """A directory with two runs, one of them of a model with a name that is not ASCII."""
    folder = pytester.mkdir("results")
    leave_run(folder, 1, model="café")
    leave_run(folder, 2)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    first_of(
        ["--mlps-history"],
        ["--mlps-history=20261101_1201"],
        ["--mlps-history-trend=read_gib_s"],
        ["--mlps-history-format=csv"],
        ["--mlps-history-format=json"],
        ["--mlps-datasize", *PROFILE],
        ["--mlps-history=café"],
        ["--mlps-validate=results"],
    ),
    ids=lambda options: options[0],
)
def test_output_does_not_fail_on_a_terminal_of_ascii(
    pytester: pytest.Pytester,
    results: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
) -> None:
    assert results.is_dir()
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("LC_ALL", "C")
    result = pytester.runpytest_subprocess("--mlps-results-dir=results", *options)
    refused, violated = "=café" in options[0], "validate" in options[0]
    assert result.ret == (pytest.ExitCode.USAGE_ERROR if refused else int(violated))
    printed = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in printed
    assert "INTERNALERROR" not in printed
    assert printed


@pytest.mark.starts_process
def test_output_into_a_pipe_that_nobody_reads_ends_without_a_traceback(results: Path) -> None:
    command = [sys.executable, "-m", "pytest", "--mlps-history", f"--mlps-results-dir={results}"]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")
