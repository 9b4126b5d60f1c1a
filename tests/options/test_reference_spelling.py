"""Options as the reference spells them: the error names ours."""

from __future__ import annotations

import json
import re

import pytest

from mlpstorage_bench.checkpointing.config.profile_file import Profile as CheckpointProfile
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.config.profile_file import Profile
from mlpstorage_bench.kvcache.config.workload import SYNONYMS, Workload
from mlpstorage_bench.options import of_reference
from mlpstorage_bench.options.declared import OPTIONS
from mlpstorage_bench.options.of_reference import check_hosts_are_one_word, counterparts
from mlpstorage_bench.training.config.workload import TrainingWorkload

FLAGS = {option.flag for option in OPTIONS}
PARAMETERS = {
    *(*Workload.model_fields, *Profile.model_fields, *SYNONYMS),
    *(*TrainingWorkload.model_fields, *CheckpointProfile.model_fields),
}
NAMES = [*of_reference._PARAMETERS, *of_reference._RENAMED, *of_reference._OTHERS]


@pytest.mark.parametrize("name", NAMES)
def test_form_has_options_and_parameters_that_exist(name: str) -> None:
    (line,) = counterparts([f"--{name}"], [f"--{name}", "7"], FLAGS)
    flags = set(re.findall(r"--mlps-[a-z-]+", line))
    assert flags <= FLAGS
    assert set(re.findall(r"--mlps-set ([a-z_]+)=", line)) <= PARAMETERS
    assert flags or "leave it out" in line or "not needed" in line or "only files" in line


def test_names_are_unique_and_not_aliases() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert not {option.reference_name for option in OPTIONS} & set(NAMES)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--duration", "60"], "--duration: --mlps-set duration=60"),
        (["--duration=60"], "--duration: --mlps-set duration=60"),
        (["--mlps-duration=60"], "--mlps-duration: --mlps-set duration=60"),
        (["--cache-dir", "/x"], "--cache-dir: --mlps-cache-dir /x"),
        (["--loops"], "--loops: --mlps-trials VALUE"),
        (["--closed"], "--closed: --mlps-mode closed"),
        (
            ["--num-accelerators=4"],
            "--num-accelerators: --mlps-num-processes 4, as each rank is an accelerator",
        ),
        (["--data-dir", "/x"], "--data-dir: --mlps-cache-dir /x"),
        (["--mlps-histroy"], "--mlps-histroy: Did you mean '--mlps-history'?"),
    ],
)
def test_line_has_the_value_that_was_given(arguments: list[str], line: str) -> None:
    assert counterparts(arguments[:1], arguments, FLAGS) == [line]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--duration", "60", "--model=tiny-1b", "--foo"],
            [
                "ERROR: unrecognized arguments: --duration --model=tiny-1b --foo. In mlpstorage:",
                "  --duration: --mlps-set duration=60",
                "  --model: --mlps-set model=tiny-1b",
            ],
        ),
        (
            ["--mlps-datasize", "--num-users", "5"],
            ["ERROR: unrecognized arguments: --num-users. In*", "  *--mlps-set num_users=5"],
        ),
        (
            ["--hosts", "node1", "node2"],
            ["ERROR: --hosts: got 'node1 node2'; accepted: one word, as in --hosts node1,node2. *"],
        ),
    ],
    ids=["unknown", "command", "hosts"],
)
def test_spelling_of_the_reference_is_a_usage_error_with_ours(
    pytester: pytest.Pytester, arguments: list[str], message: list[str]
) -> None:
    pytester.makepyfile("def test_it(): raise AssertionError")
    result = pytester.runpytest(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(message)


def test_option_of_a_conftest_with_a_name_of_the_reference_is_left_alone(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest("def pytest_addoption(parser): parser.addoption('--model')")
    pytester.makepyfile("def test_it(pytestconfig): assert pytestconfig.getoption('model') == 'x'")
    pytester.runpytest("--model=x").assert_outcomes(passed=1)


def test_command_takes_the_names_of_the_reference(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--mlps-datasize=json", "--hosts=a,b", "--npernode", "2")
    assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    start = result.stdout.str().index("{")
    assert json.loads(result.stdout.str()[start:])["ranks_by_host"] == [2, 2]


@pytest.mark.parametrize(
    ("arguments", "is_refused"),
    [
        (["--hosts", "a", "b", "c"], True),
        (["--hosts=a", "b"], True),
        (["--mlps-hosts", "a,", "b"], True),
        (["--hosts", "a", "tests/"], False),
        (["--hosts", "a", "tests/::test_x", "-v", "b"], False),
        (["--hosts", "a,b", "--npernode", "2", "x"], False),
        (["--hosts"], False),
    ],
)
def test_hosts_in_several_words_are_refused_unless_they_are_paths(
    arguments: list[str], *, is_refused: bool
) -> None:
    def check() -> None:
        check_hosts_are_one_word(arguments, lambda path: path.startswith("tests/"))

    if is_refused:
        with pytest.raises(InvalidInputError, match=r"-hosts a,b"):
            check()
    else:
        check()
