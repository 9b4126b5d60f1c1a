"""`--mlps-history-rerun ID` repeats a run's command in its directory, without a shell."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.rerun import RERUN_VARIABLE, rerun_of

AS_ROOT = ["--mlps-allow-run-as-root"] if os.geteuid() == 0 else []


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a test that measures nothing, and a name that a shell would split."""
    folder = pytester.mkdir("it's here")
    (folder / "test_it.py").write_text("def test_a(mlps_run): mlps_run.record('one', 1)\n")
    monkeypatch.chdir(folder)
    return folder


def metadata(folder: Path) -> list[dict[str, Any]]:
    paths = sorted(folder.rglob("*_metadata.json"), key=lambda path: path.name)
    return [json.loads(path.read_text()) for path in paths]


@pytest.fixture
def rerun(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], pytest.RunResult]:
    """Rerun a run of the project from another directory."""

    def run_again(run_id: str) -> pytest.RunResult:
        monkeypatch.chdir(pytester.path)
        results = "--mlps-results-dir=it's here/mlps-results"
        return pytester.runpytest_subprocess(results, f"--mlps-history-rerun={run_id}")

    return run_again


def test_rerun_has_arguments_settings_and_directory_of_the_run(
    pytester: pytest.Pytester,
    project: Path,
    rerun: Callable[[str], pytest.RunResult],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLPERF_SYSTEMNAME", "array-9")
    arguments = ["-p", "no:$(touch broken)", "--mlps-tag=nightly", "--mlps-tag", "v1"]
    assert pytester.runpytest_subprocess(*arguments).ret == 0
    (first,) = metadata(project)
    monkeypatch.delenv("MLPERF_SYSTEMNAME")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing")
    (project / "test_it.py").write_text("def test_a(mlps_run): raise AssertionError\n")
    result = rerun(first["mlpstorage"]["run_id"][:15])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["mlpstorage: in */it's here: *'no:$(touch broken)'*"])
    again = metadata(project)[1]
    own = again["mlpstorage"]
    assert own["invocation"] == first["mlpstorage"]["invocation"]
    assert own["working_directory"] == str(project)
    assert (own["tags"], own["systemname"]) == (["nightly", "v1"], "array-9")
    assert again["executed_command"] == first["executed_command"]
    assert not list(pytester.path.rglob("broken"))


@pytest.mark.launches_mpi
def test_rerun_of_a_run_under_mpirun_starts_the_same_mpirun(
    project: Path,
    run_ranks: Callable[..., pytest.RunResult],
    rerun: Callable[[str], pytest.RunResult],
) -> None:
    assert run_ranks(2).ret == 0
    (first,) = metadata(project)
    assert rerun(first["mlpstorage"]["run_id"]).ret == 0
    again = metadata(project)[1]
    assert (again["num_processes"], again["exec_type"]) == (2, "mpi")
    assert again["mlpstorage"]["invocation"] == first["mlpstorage"]["invocation"]


@pytest.mark.launches_mpi
def test_rerun_of_ranks_that_we_started_starts_them_again(
    pytester: pytest.Pytester, project: Path, rerun: Callable[[str], pytest.RunResult]
) -> None:
    arguments = ["--mlps-num-processes=2", "--mlps-oversubscribe", *AS_ROOT]
    assert pytester.runpytest_subprocess(*arguments).ret == 0
    (first,) = metadata(project)
    result = rerun(first["mlpstorage"]["run_id"])
    assert result.ret == 0
    assert result.stdout.str().count("mlpstorage: launching ") == 1
    again = metadata(project)[1]
    assert (again["num_processes"], again["exec_type"]) == (2, "mpi")


def known(**changes: Any) -> dict[str, Any]:
    invocation = {"command": [sys.executable, "-c", "pass"], "environment": {"A": "1", "B": None}}
    own = {"working_directory": "/", "invocation": invocation, **changes}
    return {"executed_command": "pytest benchmarks/", "mlpstorage": own}


def test_rerun_restores_the_variables_that_change_the_command() -> None:
    again = rerun_of("r", known(), {"A": "2", "B": "2", "C": "2"})
    assert dict(again.environment) == {"A": "1", "C": "2", RERUN_VARIABLE: "r"}
    assert again.shell_line().endswith("-c pass")


@pytest.mark.parametrize(
    ("metadata", "environ", "message"),
    [
        (known(invocation=None), {}, "whose metadata tells how.*Its command was: pytest bench"),
        ({"parameters": {}}, {}, "Its command is not known"),
        (known(working_directory="/nowhere"), {}, "working directory is there, unlike /nowhere"),
        (
            known(invocation={"command": ["/no/python", "-m", "pytest"], "environment": {}}),
            {},
            "program is there, unlike /no/python. Its command was: /no/python -m pytest",
        ),
        (known(), {RERUN_VARIABLE: "20261101"}, r"nothing within a run again \(of 20261101\)"),
    ],
)
def test_rerun_that_is_not_possible_is_refused_with_the_reason(
    metadata: dict[str, Any], environ: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"--mlps-history-rerun: got 'r'.*{message}"):
        rerun_of("r", metadata, environ)


def test_rerun_option_in_the_configuration_does_not_repeat_without_end(
    pytester: pytest.Pytester, project: Path
) -> None:
    assert pytester.runpytest_subprocess().ret == 0
    (first,) = metadata(project)
    run_id = first["mlpstorage"]["run_id"]
    (project / "pytest.ini").write_text(f"[pytest]\naddopts = --mlps-history-rerun={run_id}\n")
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*nothing within a run again (of {run_id})*"])
    assert len(metadata(project)) == 1


@pytest.mark.launches_mpi
def test_rerun_under_a_launcher_is_refused(
    pytester: pytest.Pytester, project: Path, run_ranks: Callable[..., pytest.RunResult]
) -> None:
    assert pytester.runpytest_subprocess().ret == 0
    (first,) = metadata(project)
    result = run_ranks(2, f"--mlps-history-rerun={first['mlpstorage']['run_id']}")
    assert result.ret != 0
    assert "around pytest, as the rerun starts its own" in result.stderr.str()
