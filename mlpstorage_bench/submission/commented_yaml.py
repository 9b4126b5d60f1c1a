"""YAML with comments, for a person to fill in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from mlpstorage_bench.validation.system_description import NOT_FILLED

_INDENT = "  "
_WIDEST = 1 << 30
"""Columns of a line: texts are not wrapped."""


@dataclass(frozen=True)
class Comment:
    """Comments on lines of their own."""

    text: str


@dataclass(frozen=True)
class Entry:
    """A key with its value, and a comment beside it."""

    key: str
    value: Value
    comment: str = ""


Block = tuple[Entry | Comment, ...]


@dataclass(frozen=True)
class Items:
    """A list of mappings."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class ToFill:
    """The mark of a value that only a person knows."""


TO_FILL = ToFill()
Scalar = str | int | float | ToFill
Value = Scalar | Block | Items


def to_yaml(block: Block) -> str:
    """Return the document of a block."""
    return "".join(f"{line}\n" for line in _lines(block))


def _lines(block: Block) -> Iterator[str]:
    for entry in block:
        if isinstance(entry, Comment):
            yield from (f"# {line}" for line in entry.text.split("\n"))
            continue
        comment = f"  # {entry.comment}" if entry.comment else ""
        match entry.value:
            case Items(blocks):
                yield f"{entry.key}:{comment}"
                yield from (line for inner in blocks for line in _item(inner))
            case tuple() as inner:
                yield f"{entry.key}:{comment}"
                yield from (f"{_INDENT}{line}" for line in _lines(inner))
            case scalar:
                yield f"{entry.key}: {_text_of(scalar)}{comment}"


def _item(block: Block) -> Iterator[str]:
    for number, line in enumerate(_lines(block)):
        yield f"{_INDENT}{_INDENT if number else '- '}{line}"


def _text_of(scalar: Scalar) -> str:
    if isinstance(scalar, ToFill):
        return NOT_FILLED
    if isinstance(scalar, str):  # quoted, as readers of YAML 1.1 and 1.2 differ on plain texts
        return yaml.safe_dump(scalar, default_style='"', width=_WIDEST).rstrip("\n")
    return yaml.safe_dump(scalar).split("\n")[0]
