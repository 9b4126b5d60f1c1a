"""Words of recorded command lines."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.invocation import invocations, recorded_commands

LINES = st.text("ab-=\"'\\ \t\n#", max_size=30)


@pytest.mark.slow
@given(LINES)
def test_words_are_those_of_a_shell(line: str) -> None:
    try:
        expected = tuple(shlex.split(line))
    except ValueError:
        expected = tuple(line.split())
    assert recorded_commands(document(line)) == ([expected] if line else [])


def test_value_of_an_option_is_the_first_that_is_given() -> None:
    line = "mpirun -n 2 python a.py --rank-output-base /r/option_1/trial_0 --seed=1 --seed 2 --end"
    (launch,) = invocations(document(line))
    assert (launch.option, launch.trial, launch.ranks) == (1, 0, 2)
    assert (launch.value("--seed"), launch.value("--end"), launch.value("python")) == (
        *("1", None),
        None,
    )


def document(line: str) -> Document:
    return Document({"executed_command": line}, Path("metadata.json"))
