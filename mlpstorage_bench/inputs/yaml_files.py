"""YAML of users: files and single values, with the rules of YAML 1.2 for plain scalars.

YAML 1.1, PyYAML's default, reads `on` as true, `1e3` as text and `010` as 8. Here only true and
false are truth values, and numbers are those of YAML 1.2's core schema. Keys are text.
A key may occur once in a mapping.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import yaml

from mlpstorage_bench.errors import InvalidFileError
from mlpstorage_bench.inputs.files import read_text
from mlpstorage_bench.paths import InputFile

MOST_BYTES = 1 << 18
"""Largest YAML file."""
MOST_VALUES = 20_000
"""Most values of a document, each alias counted with all that it stands for."""
DEEPEST = 50
"""Most levels of a document."""

_MERGE, _NULL, _TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:null", "tag:yaml.org,2002:str"
_INT, _FLOAT, _BOOL = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool"
_MAP, _LIST = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"
_CORE = {
    _NULL: re.compile(r"null|Null|NULL|~|"),
    _BOOL: re.compile(r"true|True|TRUE|false|False|FALSE"),
    _INT: re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    _FLOAT: re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    ),
    _MERGE: re.compile(r"<<"),
}
"""Tag → its plain scalars, in YAML 1.2's core schema; a merge key is YAML 1.1's."""
_MOST_DIGITS = 400
"""Digits of a number: more are beyond every number that a profile has."""

Path = tuple[str | int, ...]
"""Way to a value: keys of mappings and positions in lists."""


class YamlError(ValueError):
    """Text is no YAML that is accepted."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


@dataclass(frozen=True)
class Document:
    """Content of a YAML document, and the lines of its values."""

    content: Any
    lines: Mapping[Path, int]

    def line_of(self, path: Sequence[str | int]) -> int | None:
        """Return the line of a value, or of the nearest value around it that was written."""
        for end in range(len(path), 0, -1):
            line = self.lines.get(tuple(path[:end]))
            if line is not None:
                return line
        return None


def read_yaml(file: InputFile) -> Document:
    """Return the document in a YAML file; InvalidFileError otherwise."""
    text = read_text(file, MOST_BYTES)
    try:
        return parse_yaml(text)
    except YamlError as error:
        raise InvalidFileError.of(file, error.problem, line=error.line) from error


def parse_yaml(text: str) -> Document:
    """Return the document that YAML text is; YamlError otherwise."""
    try:
        _check_levels(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ", ".join(filter(None, [error.context, error.problem]))
        raise YamlError(f"It is no YAML: {problem}", _line(mark)) from error
    except yaml.YAMLError as error:
        raise YamlError(f"It is no YAML: {error}".replace("\n", ", ")) from error
    except UnicodeEncodeError as error:  # bytes of the command line that were no UTF-8
        raise YamlError("It is not UTF-8") from error
    reader = _Reader()
    content = None if node is None else reader.value(node, ())
    return Document(content, reader.lines)


def parse_scalar(text: str) -> Any:
    """Return the value of a plain scalar: null, a truth value, a number or the text itself."""
    return _scalar(text, _tag_of(text))


# The parser in C is not part of every installation of PyYAML.
_Base: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class _Loader(_Base):  # type: ignore[misc]  # one of two classes
    """PyYAML's parser, without its rules for scalars and objects."""

    DEFAULT_SCALAR_TAG = ""  # so that a tag that was written can be told from none


def _check_levels(text: str) -> None:
    """Raise YamlError if collections lie too deep in each other, for they are composed recursively.

    The recursion is in C, where it has no limit: it would end the process.
    """
    loader = _Loader(text)
    try:
        level = -1
        while loader.check_event():
            event = loader.get_event()
            if isinstance(event, yaml.CollectionStartEvent):
                level += 1
                if level > DEEPEST:
                    line = _line(event.start_mark)
                    raise YamlError(f"It has more than {DEEPEST} levels", line)
            elif isinstance(event, yaml.CollectionEndEvent):
                level -= 1
    finally:
        loader.dispose()


class _Reader:
    """Makes values of parsed nodes, and counts them."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self._count = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        """Return the value of a node; YamlError if it is not accepted."""
        self._count += 1
        line = _line(node.start_mark)
        if self._count > MOST_VALUES:
            raise YamlError(f"It has more than {MOST_VALUES} values, with those of aliases", line)
        if len(path) > DEEPEST:
            raise YamlError(f"It has more than {DEEPEST} levels", line)
        if line is not None:
            self.lines[path] = line
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            _check_tag(node, _LIST)
            return [self.value(item, (*path, number)) for number, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        try:
            return _scalar(node.value, node.tag or (_TEXT if node.style else _tag_of(node.value)))
        except YamlError as error:
            raise YamlError(error.problem, line) from error

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        _check_tag(node, _MAP)
        own: dict[str, yaml.Node] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            line = _line(key.start_mark)
            if not isinstance(key, yaml.ScalarNode):
                raise YamlError("A key has to be text", line)
            if not key.style and _tag_of(key.value) == _MERGE:
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
                continue
            if key.value in own:
                raise YamlError(f"The key {key.value!r} occurs twice in one mapping", line)
            own[key.value] = value
        content: dict[str, Any] = {}
        for base in reversed(merged):
            if not isinstance(base, yaml.MappingNode):
                raise YamlError("<< needs a mapping", _line(base.start_mark))
            content.update(self._mapping_of_alias(base, path))
        content.update({key: self.value(value, (*path, key)) for key, value in own.items()})
        return content

    def _mapping_of_alias(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        """Return a merged mapping, one level deeper, so that a mapping in itself has an end."""
        content: dict[str, Any] = self.value(node, (*path, "<<"))
        return content


def _check_tag(node: yaml.Node, expected: str) -> None:
    if node.tag not in (expected, "!", "", None):
        raise YamlError(f"The tag {node.tag!r} is not accepted", _line(node.start_mark))


def _tag_of(text: str) -> str:
    return next((tag for tag, form in _CORE.items() if form.fullmatch(text)), _TEXT)


def _scalar(text: str, tag: str) -> Any:
    if tag in (_TEXT, _MERGE):
        return text
    form = _CORE.get(tag)
    if form is None or not form.fullmatch(text):
        raise YamlError(f"The tag {tag!r} is not accepted with {text[:50]!r}")
    if tag == _NULL:
        return None
    if tag == _BOOL:
        return text.lower() == "true"
    if len(text) > _MOST_DIGITS:
        raise YamlError(f"A number has more than {_MOST_DIGITS} digits")
    if tag == _FLOAT:
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text, base)


class _Mark(Protocol):
    """A place in a text, of PyYAML's parser in Python or in C."""

    @property
    def line(self) -> int: ...


def _line(mark: _Mark | None) -> int | None:
    return None if mark is None else mark.line + 1
