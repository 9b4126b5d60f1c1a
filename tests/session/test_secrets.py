"""Secrets that a session's command, environment and mounts hold are in none of its outputs."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.conftest import mpirun
from tests.session.tiny import TINY
from tests.variants import first_of

PLANTED = "hush4711"
TEST = f"""
    def test_run(kvcache, mlps_run, benchmark):
        benchmark.extra_info["source"] = "https://me:{PLANTED}@host/x"
        mlps_run.record("api_token", "{PLANTED}")
        kvcache.run(1)

    def test_fails(mlps_run):
        raise OSError("no answer from https://me:{PLANTED}@host/x, password={PLANTED}")
"""
OUTPUTS = (
    *("--mlps-report=report.md", "--mlps-report=report.html", "--mlps-gate-report=gate.md"),
    *("--mlps-gate-report=gate.json", "--mlps-gate", "--junit-xml=junit.xml"),
    *("--mlps-export=prometheus:run.prom", "--mlps-export=openmetrics:run.om"),
    *("--mlps-export=json:run.json", "--mlps-export=csv:run.csv"),
)
OF_A_PROJECT = (f"--db-password={PLANTED}", "--db-url", f"postgres://me:{PLANTED}@db/x")
CONFTEST = f"""
    def pytest_addoption(parser):
        parser.addoption("--db-password")
        parser.addoption("--db-url")

    def pytest_mlps_metadata():
        return {{"api_token": "{PLANTED}", "db": "postgres://me:{PLANTED}@db/x"}}

    def pytest_mlps_result():
        raise OSError("no answer from https://me:{PLANTED}@host/x, password={PLANTED}")
"""


def run_in(folder: Path, command: Sequence[str]) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout + done.stderr


def files_with_secret(folder: Path) -> list[str]:
    """Return the files below a directory, except the tests, that have the secret in them."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyc")
        and PLANTED.encode() in path.read_bytes()
    ]


@pytest.mark.slow
def test_files_of_a_run_hold_no_secret(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    mount: Callable[[str, str], Path],
) -> None:
    cache = mount("tmpfs", f"size=256m https://me:{PLANTED}@host/x")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TEST)
    params = f"--mlps-mpi-params=-x A={PLANTED}"
    addopts = shlex.join([params, "-p", "no:cacheprovider", "-p", "no:randomly"])
    monkeypatch.setenv("PYTEST_ADDOPTS", addopts)
    pytest_command = (sys.executable, "-m", "pytest")
    options = (*TINY, *OF_A_PROJECT, *OUTPUTS, f"--mlps-cache-dir={cache / 'cache'}", "--tb=no")
    output = run_in(pytester.path, [*pytest_command, *options, "-rN"])
    assert "1 failed, 1 passed" in output
    assert PLANTED not in output
    whatif = run_in(pytester.path, [*pytest_command, *options, "--mlps-mode=whatif"])
    assert PLANTED not in whatif
    for command in ("--mlps-history", "--mlps-history=20", "--mlps-history-format=json"):
        listed = run_in(pytester.path, [*pytest_command, "--mlps-results-dir=results", command])
        assert PLANTED not in listed.replace(addopts, "")
    assert files_with_secret(pytester.path) == []
    (path,) = (pytester.path / "results").rglob("*_metadata.json")
    metadata = json.loads(path.read_text())
    assert metadata["system_info"]["hosts"][0]["cache_filesystem"]["device"] == "https://host/x"
    assert "'--db-password=***' --db-url postgres://db/x" in metadata["executed_command"]
    assert metadata["mlpstorage"]["invocation"]["environment"]["PYTEST_ADDOPTS"].startswith(
        "'--mlps-mpi-params=-x A'"
    )
    assert metadata["mlpstorage"]["tests"][1]["message"].endswith("https://host/x, password=***")


@pytest.mark.launches_mpi
@pytest.mark.parametrize("started", first_of("launched", "by hand"))
def test_files_of_ranks_hold_no_secret(tmp_path: Path, started: str) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(mlps_run): pass")
    pytest_command = [sys.executable, "-m", "pytest", "--mlps-results-dir=results"]
    launcher, *flags = mpirun(2)
    exported = ["-x", f"KEY={PLANTED}", "--mca", "mca_base_env_list", f"A={PLANTED};B={PLANTED}"]
    if started == "by hand":
        variables = ["env", f"PW={PLANTED}", f"lower={PLANTED}"]
        command = [launcher, *exported, *flags, *variables, *pytest_command]
    else:
        params = shlex.join([*exported, *flags[2:]])
        command = [*pytest_command, "--mlps-num-processes=2", f"--mlps-mpi-params={params}"]
    output = run_in(tmp_path, command)
    assert "1 passed" in output
    assert PLANTED not in output
    assert files_with_secret(tmp_path) == []
    (path,) = (tmp_path / "results").rglob("*_metadata.json")
    executed = json.loads(path.read_text())["executed_command"]
    assert "-x KEY --mca mca_base_env_list 'A;B'" in executed
