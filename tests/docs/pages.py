"""The pages of the documentation: their code blocks and their links."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGES = (
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
)
FRAGMENT = "<!-- fragment -->\n\n"
"""Comes before a Python block that is not run with the others."""
_BLOCK = re.compile(
    rf"(?P<fragment>{FRAGMENT})?^```(?P<language>[^\n]*)\n(?P<code>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<title>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A Python block of a page."""

    module: str
    """Name of the module that the block becomes."""
    code: str

    @property
    def has_tests(self) -> bool:
        """Whether pytest runs it; otherwise it is a script."""
        return "def test_" in self.code


def existing_pages() -> list[Path]:
    return [page for page in PAGES if page.is_file()]


def blocks(page: Path, *, fragments: bool = True) -> Iterator[tuple[str, str]]:
    """Iterate over the fenced blocks of a page: language and text."""
    for block in _BLOCK.finditer(page.read_text()):
        if fragments or block["fragment"] is None:
            yield block["language"], block["code"]


def examples() -> Iterator[Example]:
    """Iterate over the Python blocks; fragments are left out."""
    for page in existing_pages():
        codes = [code for language, code in blocks(page, fragments=False) if language == "python"]
        for number, code in enumerate(codes, 1):
            prefix = "test_" if "def test_" in code else ""
            yield Example(f"{prefix}{page.stem.lower()}_{number}", code)


@functools.cache
def without_blocks(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Return the targets of a page's links to this project's own files."""
    text = without_blocks(page)
    targets = [link["target"] for link in _LINK.finditer(text)]
    return [target for target in targets if "://" not in target]


@functools.cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = without_blocks(page)
    titles = [heading["title"].lower() for heading in _HEADING.finditer(text)]
    return frozenset(re.sub(r"[^\w\- ]", "", title).strip().replace(" ", "-") for title in titles)
