"""JSON: objects of lines, and lists whose elements are read one by one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.errors import InvalidFileError
from mlpstorage_bench.inputs import json_files
from mlpstorage_bench.inputs.files import open_lines
from mlpstorage_bench.inputs.json_files import json_lines, open_json
from mlpstorage_bench.paths import InputFile

MOST = 1 << 30
BRACKET = re.compile(r"\[")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


def elements(path: Path) -> list[Any]:
    with open_json(InputFile("--mlps-x", path), MOST) as stream:
        assert stream.until(BRACKET, 10) is not None
        found = list(stream.elements())
        assert stream.rest(10).strip() == ""
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json") / "file.json"


@pytest.mark.slow
@given(st.lists(VALUES, max_size=9), st.sampled_from([None, 2]), st.integers(1, 40))
def test_elements_of_a_list_are_those_of_the_whole_document(
    path: Path, values: list[Any], indent: int | None, part: int
) -> None:
    path.write_text(json.dumps(values, indent=indent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_files, "_PART", part)
        assert elements(path) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "line 1.*ends within a list"),
        ('[{"a": 1},\n{"a": \n', "line 3.*It is no JSON"),
        ('[{"a": 1}\n{"a": 2}]', "line 2.*followed by '{'"),
        ("[1,\n2,\n]", "line 3.*It is no JSON"),
        (f"[{'[' * 100_000}", "nested too deeply"),
        (f"[{'9' * 5000}]", "no JSON that can be read"),
        ('["\ufffe', "no JSON"),
    ],
)
def test_list_with_an_unreadable_element_is_refused(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(InvalidFileError, match=message):
        elements(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1'.*It is no JSON: .* at column 2"),
        ('{"a": 1}\n]', "line 2'.*It is no JSON"),
        ('{"a":' * 200_000, "nested too deeply"),
        (f'{{"a": {"9" * 5000}}}', "4300"),
    ],
)
def test_line_that_is_no_json_is_refused(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with (
        pytest.raises(InvalidFileError, match=message),
        open_lines(InputFile("--mlps-x", path), MOST) as lines,
    ):
        list(json_lines(lines))


def test_objects_of_lines_are_read_and_others_refused_with_their_line(path: Path) -> None:
    path.write_text('{"a": 1}\n\n{"a": 2}\r\n[3]\n')
    with open_lines(InputFile("--mlps-x", path), MOST) as lines:
        values = json_lines(lines)
        assert [next(values), next(values)] == [{"a": 1}, {"a": 2}]
        with pytest.raises(InvalidFileError, match=r"line 4'.*no JSON object"):
            next(values)
