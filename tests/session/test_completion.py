"""Completion in a shell, as argcomplete asks for it: by variables, with the answer in a file."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import pytest

from mlpstorage_bench.options.declared import OPTIONS, add_options
from mlpstorage_bench.session import completion
from tests.past_runs import leave, leave_run, run

RUN_ID = "20261101_120100-0001"
DIRECTORIES = {"cache-dir", "results-dir", "submission", "submission-systems", "validate"}
RUNS = {"compare", "gate", "history", "history-rerun", "history-rm", "resume", "submission-run"}


def completed(pytester: pytest.Pytester, line: str) -> list[str]:
    """Return what a shell would offer after a line."""
    answer = pytester.path / "answer"
    variables = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_SHELL": "bash",
        "_ARGCOMPLETE_COMP_WORDBREAKS": " =",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        result = pytester.run(sys.executable, "-m", "pytest")
    assert result.ret == 0, result.stderr.str()
    return answer.read_text().split("\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        pytest.param("pytest --mlps-doc", ["--mlps-doctor"], marks=pytest.mark.long),
        pytest.param("pytest --mlps-mode=c", ["closed"], marks=pytest.mark.long),
        ("pytest --mlps-progress=li", ["live", "lines", "lines:"]),
        pytest.param("pytest --mlps-profile q", ["quick"], marks=pytest.mark.long),
        pytest.param("pytest --mlps-export j", ["json:"], marks=pytest.mark.long),
        ("pytest --mlps-cache-dir=res", ["results/"]),
        (f"pytest --mlps-results-dir=results --mlps-history={RUN_ID[:9]}", [RUN_ID]),
        pytest.param(
            "pytest --mlps-results-dir=nowhere --mlps-resume=", [""], marks=pytest.mark.long
        ),
    ],
)
def test_value_is_completed(pytester: pytest.Pytester, line: str, offered: list[str]) -> None:
    leave_run(pytester.mkdir("results"), 1)
    (pytester.path / "results.txt").write_text("no directory")
    found = [word.strip() for word in completed(pytester, line)]
    assert found == offered
    assert not (pytester.path / "nowhere").exists()


def test_options_have_completers_by_their_kind_of_value() -> None:
    completers = {option.name: completion.completer_of(option) for option in OPTIONS}
    of_directories = completers["cache-dir"]
    of_runs = completers["history"]
    assert {name for name, one in completers.items() if one is of_directories} == DIRECTORIES
    assert {name for name, one in completers.items() if one is of_runs} == RUNS
    assert completers["mode"] is None


def test_id_that_a_shell_would_not_show_as_it_is_is_not_offered(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    leave(tmp_path, "other", run(2, own={"run_id": "20261101\x1b[2J\x0b--mlps-history-rm"}))
    completer = completion.completer_of(next(one for one in OPTIONS if one.name == "history"))
    assert completer is not None
    given = Namespace(mlps_results_dir=str(tmp_path))
    assert [*completer(prefix="", parsed_args=given)] == ["latest", RUN_ID]


def test_parser_of_this_release_of_pytest_has_the_completers() -> None:
    parser = pytest.Parser(_ispytest=True)
    add_options(parser)
    completion.complete_values(parser)
    made = parser._getparser() if hasattr(parser, "_getparser") else parser.optparser
    action = made._option_string_actions["--mlps-history"]
    assert getattr(action, "completer", None) is not None
    assert action.nargs is None, "argcomplete would repeat the option before the value"
