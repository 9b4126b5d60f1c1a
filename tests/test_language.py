"""Plain technical English: forbidden openings of docstrings, and forbidden words."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.statements import statements

PROJECT = Path(__file__).parent.parent

COVERED = ("benchmarks", "conftest.py", "examples", "mlpstorage_bench", "tests")
"""Python files and directories that are checked."""

PAGES = ("CONTRIBUTING.md", "README.md", "docs")
"""Files and directories of text whose words are checked."""

OPENINGS = ("what", "who", "whose", "whoever", "of", "by", "in", "to", "from", "for")
"""A docstring begins with none of these words, but with a verb or with the noun that it defines."""

SETTINGS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
FORMER_NAMES: tuple[str, ...] = tuple(SETTINGS["plain-language"]["former-names"])
"""Forbidden also on pages and in names of files; pyproject.toml lists them."""

METAPHORS = (*FORMER_NAMES, "house", "room", "floor", "roof")
"""Forbidden in text and as parts of identifiers: each has a term of the field instead."""

IDENTIFIER_WORDS = ("tell", "tells", "told")
"""Forbidden as parts of identifiers: a function formats, reports or shows."""

FIELD_TERMS = ("math.floor",)
"""Uses of the forbidden words that are terms of the field."""

RIDDLES = re.compile(r"^test_(what|who|whoever|of|by|in|to|from|for|it|as)_")
"""A test's name begins with its subject."""


def sources(*names: str) -> list[Path]:
    """Return the Python files to check; this one has to contain the forbidden words."""
    return [
        path
        for name in names
        for path in ([PROJECT / name] if name.endswith(".py") else (PROJECT / name).rglob("*.py"))
        if path != Path(__file__)
    ]


def pages() -> list[Path]:
    """Return the pages of the documentation."""
    return [
        path
        for name in PAGES
        for path in ([PROJECT / name] if name.endswith(".md") else (PROJECT / name).rglob("*.md"))
    ]


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of every docstring: of modules, classes, functions and attributes."""
    for node in statements(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.lineno, node.value.value


def identifiers(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of every identifier that the file defines or assigns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def words(identifier: str) -> set[str]:
    """Return the words of a name in snake_case or CamelCase, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)}


def forms(word: str) -> set[str]:
    """Return a word and its plurals."""
    return {word, f"{word}s", f"{word}es", f"{word.removesuffix('y')}ies"}


FORBIDDEN = frozenset(form for word in METAPHORS for form in forms(word))
FORMER = frozenset(form for word in FORMER_NAMES for form in forms(word))
IN_IDENTIFIERS = FORBIDDEN | set(IDENTIFIER_WORDS)
STEMS = tuple(word.removesuffix("y") for word in (*METAPHORS, *IDENTIFIER_WORDS))
"""Parts of the forbidden words: a text without any of them need not be split into words."""

OPENED = re.compile(
    rf"^\s*[a-z]?[\"']+(\\\n|\s)*(?!from __future__)({'|'.join(OPENINGS)})\b",
    re.IGNORECASE | re.MULTILINE,
)
"""Matches where a line begins with a string that begins with a forbidden opening.

Not where a module's docstring ends and its first import follows, as in every file.
"""


def may_violate(text: str) -> bool:
    """Return whether a file has to be parsed: whether a forbidden word is anywhere in its text."""
    lower = text.lower()
    has_stem = any(stem in lower for stem in STEMS)
    return bool(
        (has_stem and IN_IDENTIFIERS & words(text))
        or (has_stem and FORBIDDEN & set(re.findall(r"[a-z]+", lower)))
        or OPENED.search(text)
        or any(RIDDLES.match(name) for name in re.findall(r"\btest_\w+", text))
    )


def bad_openings(tree: ast.Module) -> list[str]:
    return [
        f"{line}: {docstring.split(chr(10))[0]}"
        for line, docstring in docstrings(tree)
        if re.split(r"\W", docstring.strip().lower(), maxsplit=1)[0] in OPENINGS
    ]


def metaphors(text: str, names: list[tuple[int, str]]) -> list[str]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        rest = line.lower()
        for term in FIELD_TERMS:
            rest = rest.replace(term, "")
        if FORBIDDEN & set(re.findall(r"[a-z]+", rest)):
            found.append(f"{number}: {line.strip()}")
    return found + [f"{line}: {name}" for line, name in names if IN_IDENTIFIERS & words(name)]


def riddles(names: list[tuple[int, str]]) -> list[str]:
    return [f"{line}: {name}" for line, name in names if RIDDLES.match(name)]


def violations(text: str) -> list[str]:
    """Return the lines of a Python file that are not in plain language."""
    if not may_violate(text):
        return []
    tree = ast.parse(text)
    names = list(identifiers(tree))
    return [*bad_openings(tree), *metaphors(text, names), *riddles(names)]


@pytest.mark.parametrize("name", COVERED)
def test_covered_files_are_in_plain_language(name: str) -> None:
    found = {
        str(path.relative_to(PROJECT)): violations(path.read_text(encoding="utf-8"))
        for path in sources(name)
    }
    assert {place: lines for place, lines in found.items() if lines} == {}


def test_pages_have_no_former_name() -> None:
    texts = {path: path.read_text(encoding="utf-8").lower() for path in pages()}
    assert [path for path in texts if FORMER & set(re.findall(r"[a-z]+", texts[path]))] == []


def test_file_names_have_no_metaphor() -> None:
    names = {
        path: set(re.findall(r"[a-z]+", path.stem.lower()))
        for path in [*sources(*COVERED), *pages()]
    }
    assert [path for path, parts in names.items() if FORBIDDEN & parts] == []


def test_covered_names_exist() -> None:
    assert [name for name in (*COVERED, *PAGES) if not (PROJECT / name).exists()] == []


@pytest.mark.parametrize(
    "text",
    ['"""What a rank did."""', 'class A:\n    x = 1\n    """Of either."""', '"""\nFor tests."""'],
)
def test_docstring_with_forbidden_opening_is_found(text: str) -> None:
    assert len(violations(text)) == 1


@pytest.mark.parametrize(
    "text",
    ["# makes room for it", "def tell_user(): ...", "class CrewKeeper: ...", "self.told = 1"],
)
def test_metaphor_is_found(text: str) -> None:
    assert violations(text) != []


def test_field_terms_and_other_words_are_accepted() -> None:
    text = "# telling headroom apart\nx = math.floor(warehouse)"
    assert violations(text) == []
    assert violations('"""Forward offset of a whole file."""') == []


def test_riddle_as_test_name_is_found() -> None:
    assert violations("def test_what_is_lost_is_told(): ...") != []
    assert violations("def test_it_ends(): ...") != []
