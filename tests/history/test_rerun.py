"""`--mlps-history-rerun ID` repeats a run's command in its directory, without a shell."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.former_tests import with_current_names
from mlpstorage_bench.history.rerun import RERUN_VARIABLE, check_owner, rerun_of
from mlpstorage_bench.results.run_metadata import RunMetadata, metadata_of
from tests.past_runs import OURS, REFERENCES

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
) -> Callable[..., pytest.RunResult]:
    """Rerun a run of the project from another directory."""

    def run_again(run_id: str, *options: str) -> pytest.RunResult:
        monkeypatch.chdir(pytester.path)
        results = "--mlps-results-dir=it's here/mlps-results"
        return pytester.runpytest_subprocess(results, f"--mlps-history-rerun={run_id}", *options)

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


@pytest.mark.long
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


@pytest.mark.long
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


def known(**changes: Any) -> RunMetadata:
    """Return metadata of a run that can be started again, with changes under `mlpstorage`."""
    invocation = {"command": [sys.executable, "-c", "pass"], "environment": {"A": "1", "B": None}}
    own = {"working_directory": "/", "invocation": invocation, **changes}
    return metadata_of({**OURS, "executed_command": "pytest benchmarks/", "mlpstorage": own})


def test_rerun_restores_the_variables_that_change_the_command_and_no_others() -> None:
    again = rerun_of("r", known(), {"A": "2", "B": "2", "C": "2"}, ("A", "B"))
    assert dict(again.environment) == {"A": "1", "C": "2", RERUN_VARIABLE: "r"}
    assert again.shell_line().endswith("-c pass")
    assert again.remarks == []
    again = rerun_of("r", known(), {"A": "2", "B": "2"}, ("A",))
    assert dict(again.environment) == {"A": "1", "B": "2", RERUN_VARIABLE: "r"}
    assert again.remarks == ["not set, as a rerun sets A alone: B"]


@pytest.mark.parametrize(
    ("metadata", "environ", "message"),
    [
        (known(invocation=None), {}, "whose metadata tells how.*Its command was: pytest bench"),
        (metadata_of(REFERENCES), {}, "Its command is not known"),
        (known(working_directory="/nowhere"), {}, "working directory is there, unlike /nowhere"),
        (known(working_directory="/" + "n" * 300), {}, "working directory is there, unlike /nnn"),
        (
            known(invocation={"command": ["/no/python", "-m", "pytest"], "environment": {}}),
            {},
            "program is there, unlike /no/python. Its command was: /no/python -m pytest",
        ),
        (
            known(invocation={"command": ["pytest", "--token=***"], "environment": {}}),
            {},
            r"stored as a whole; \*\*\* stands for a secret. Start it by hand: pytest '--token=",
        ),
        (known(), {RERUN_VARIABLE: "20261101"}, r"nothing within a run again \(of 20261101\)"),
    ],
)
def test_rerun_that_is_not_possible_is_refused_with_the_reason(
    metadata: RunMetadata, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"--mlps-history-rerun: got 'r'.*{message}"):
        rerun_of("r", metadata, environ, ())


@pytest.mark.starts_process  # which does not come to it
def test_command_with_a_character_that_no_argument_has_is_refused() -> None:
    command = {"command": [sys.executable, "-c", "pass\0"], "environment": {}}
    again = rerun_of("r", known(invocation=command), {}, ())
    with pytest.raises(InvalidInputError, match="a run that can be started"):
        again.run()


def status(uid: int, mode: int = 0o100644) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, uid, 0, 1, 0, 0, 0))


@pytest.mark.parametrize(
    ("file", "named", "accepted"),
    [
        (status(os.geteuid()), None, True),
        (status(os.geteuid(), 0o100664), None, True),
        (status(65534), None, False),
        (status(65534), "root", False),
        (status(65534), "anyone", False),
        (status(65534), pwd.getpwuid(65534).pw_name, True),
        (status(65534), "65534", True),
        (status(4_000_000_000), "4000000000", True),
        (status(os.geteuid(), 0o100666), None, False),
        (status(os.geteuid(), 0o100666), str(os.geteuid()), False),
        (status(os.geteuid(), 0o100666), "anyone", True),
    ],
)
def test_metadata_that_others_may_have_written_needs_their_name(
    file: os.stat_result, named: str | None, *, accepted: bool
) -> None:
    if accepted:
        check_owner("r", known(), file, named)
        return
    with pytest.raises(InvalidInputError, match=r"Its command is: .*--mlps-history-rerun-owner="):
        check_owner("r", known(), file, named)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["pytest", "-k", "test_option"], ["pytest", "-k", "test_workload"]),
        (["pytest", "-ktest_option and 1"], ["pytest", "-ktest_workload and 1"]),
        (
            ["pytest", "b/test_kvcache.py::test_option[1]"],
            ["pytest", "b/test_kvcache.py::test_workload[1]"],
        ),
        (["pytest", "-k", "my_test_option"], ["pytest", "-k", "my_test_option"]),
        (["pytest", "--x=test_option"], ["pytest", "--x=test_option"]),
    ],
)
def test_former_name_of_a_test_is_replaced_where_tests_are_selected(
    tmp_path: Path, given: list[str], expected: list[str]
) -> None:
    ran = ["b/test_kvcache.py::test_option[1]", "b/test_kvcache.py::test_rag"]
    command, renamed = with_current_names(given, ran, tmp_path)
    assert command == expected
    assert renamed == ({} if command == given else {"test_option": "test_workload"})
    assert with_current_names(given, ["test_mine.py::test_option"], tmp_path) == (given, {})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "test_kvcache.py").write_text("def test_option(kvcache): ...\n")
    assert with_current_names(given, ran, tmp_path) == (given, {})


def test_rerun_replaces_former_names_also_in_arguments_of_the_environment() -> None:
    invocation = {
        "command": [sys.executable, "-m", "pytest"],
        "environment": {"PYTEST_ADDOPTS": "-q -k 'test_option and 1'"},
    }
    test = {"test": "test_kvcache.py::test_option[1]", "outcome": "passed", "duration_s": 1}
    again = rerun_of("r", known(invocation=invocation, tests=[test]), {}, ("PYTEST_ADDOPTS",))
    assert again.environment["PYTEST_ADDOPTS"] == "-q -k 'test_workload and 1'"
    assert again.remarks == ["test_option is called test_workload now"]


@pytest.mark.long
def test_metadata_of_another_user_is_not_run_without_their_name(
    pytester: pytest.Pytester,
    project: Path,
    rerun: Callable[..., pytest.RunResult],
) -> None:
    assert pytester.runpytest_subprocess().ret == 0
    (path,) = project.rglob("*_metadata.json")
    content = json.loads(path.read_text())
    invocation = content["mlpstorage"]["invocation"]
    invocation["command"] = [sys.executable, "-c", "import os; print(os.environ.get('EVIL'))"]
    invocation["environment"]["EVIL"] = "loaded"
    path.write_text(json.dumps(content))
    path.chmod(0o666)
    run_id = content["mlpstorage"]["run_id"]
    refused = rerun(run_id)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    assert "None" not in refused.outlines
    refused.stderr.fnmatch_lines(["*other users may write its metadata*-owner=anyone"])
    done = rerun(run_id, "--mlps-history-rerun-owner=anyone")
    assert done.ret == 0
    assert done.outlines[-1] == "None"
    done.stdout.fnmatch_lines(["mlpstorage: not set, as a rerun sets *: EVIL"])


@pytest.mark.long
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


@pytest.mark.long
@pytest.mark.launches_mpi
def test_rerun_under_a_launcher_is_refused(
    pytester: pytest.Pytester, project: Path, run_ranks: Callable[..., pytest.RunResult]
) -> None:
    assert pytester.runpytest_subprocess().ret == 0
    (first,) = metadata(project)
    result = run_ranks(2, f"--mlps-history-rerun={first['mlpstorage']['run_id']}")
    assert result.ret != 0
    assert "around pytest, as the rerun starts its own" in result.stderr.str()
