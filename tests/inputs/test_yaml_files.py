"""YAML: plain scalars of YAML 1.2, keys, and limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import InvalidFileError
from mlpstorage_bench.inputs.yaml_files import YamlError, parse_scalar, parse_yaml, read_yaml
from mlpstorage_bench.paths import InputFile


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0),
        ("1.5e+3", 1500.0),
        ("010", 10),
        ("0x1F", 31),
        ("-7", -7),
        (".5", 0.5),
        ("true", True),
        ("on", "on"),
        ("yes", "yes"),
        ("1:30", "1:30"),
        ("2026-11-24", "2026-11-24"),
        ("~", None),
        ("", None),
        ("1_000", "1_000"),
        ("<<", "<<"),
        ("/x/run #2/o.csv", "/x/run #2/o.csv"),
    ],
)
def test_plain_scalar_is_one_of_yaml_1_2(text: str, value: object) -> None:
    seen = parse_scalar(text)
    assert (type(seen), seen) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("on: 1\nno: 2\n1: 3\nnull: 4", {"on": 1, "no": 2, "1": 3, "null": 4}),
        ("a: '1'\nb: \"on\"\nc: !!str 5", {"a": "1", "b": "on", "c": "5"}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ("a: [1, {b: ~}]", {"a": [1, {"b": None}]}),
        ("a: |\n  1\n  2\n", {"a": "1\n2\n"}),
        ("", None),
        ("# nothing", None),
    ],
)
def test_document_is_read(text: str, content: Any) -> None:
    assert parse_yaml(text).content == content


LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 30)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}, *a{n - 1}], k{n}: 1}}\n" for n in range(1, 30)
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3", 3, "'a' occurs twice"),
        ('1: 1\n"1": 2', 2, "'1' occurs twice"),
        ("a: [", None, "no YAML"),
        ("a: &x [*x]", 1, "more than 50 levels"),
        ("a: &x {<<: *x}", 1, "more than 50 levels"),
        ("a: {<<: 1}", 1, "<< needs a mapping"),
        ("? [a]\n: 1", 1, "A key has to be text"),
        ("a: !!python/object/apply:os.mkdir [x]", 1, "tag 'tag:yaml.org,2002:python/object"),
        ("a: !!binary aGk=", 1, "tag 'tag:yaml.org,2002:binary'"),
        ("a: !!int x", 1, "not accepted with 'x'"),
        (f"a: {'9' * 5000}", 1, "more than 400 digits"),
        ("a: 1\n---\nb: 2", 2, "single document"),
        ("a: \x00", None, "no YAML"),
        ("a: \udc80", None, "not UTF-8|no YAML"),
        (LAUGHS, None, "more than 20000 values"),
        (MERGES, None, "more than"),
        pytest.param("[" * 200, 1, "more than 50 levels", id="brackets"),
        pytest.param("[" * 100_000, None, "levels|no YAML", id="many brackets"),
        pytest.param(
            "a:\n" + "".join(f"{' ' * n}- \n" for n in range(400)),
            52,
            "more than 50 levels",
            id="lists",
        ),
    ],
)
def test_document_that_is_not_accepted_is_refused_with_its_line(
    text: str, line: int | None, message: str
) -> None:
    with pytest.raises(YamlError, match=message) as refused:
        parse_yaml(text)
    assert line is None or refused.value.line == line


def test_error_of_a_file_names_option_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: 1\na: 2\n")
    with pytest.raises(InvalidFileError, match=r"--mlps-x: got '.*x.yaml, line 2'; accepted: .*a'"):
        read_yaml(InputFile("--mlps-x", path))


def test_document_knows_the_line_of_a_value() -> None:
    document = parse_yaml("a:\n  b:\n    - 1\n    - {c: 2}\n")
    assert document.line_of(("a", "b", 1, "c")) == 4
    assert document.line_of(("a", "b", 0)) == 3
    assert document.line_of(("a", "missing")) == 2
    assert document.line_of(("missing",)) is None
