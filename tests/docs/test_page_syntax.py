"""Pages are written so that GitHub and the site, which uses Python-Markdown, read them alike."""

from __future__ import annotations

import re

import pytest

from tests.docs import pages

_ITEM = r"(?:-|\d+\.) "
_LIST_WITHOUT_BLANK_LINE = re.compile(rf"^(?! |{_ITEM}).+\n{_ITEM}.*", re.MULTILINE)
_SHALLOW = re.compile(r"(?<=\n\n)(?: {1,3}| {5,7})\S.*")
"""A paragraph or code in a list item, which has to be indented by four or eight spaces."""


def test_blocks_are_marked_by_one_word() -> None:
    languages = {page: {name for name, _ in pages.blocks(page)} for page in pages.existing_pages()}
    known = {"", "console", "python", "text", "yaml"}
    assert {page: found - known for page, found in languages.items() if found - known} == {}


@pytest.mark.parametrize(
    "wrong",
    [_LIST_WITHOUT_BLANK_LINE, _SHALLOW],
    ids=["no blank line before a list", "indentation"],
)
def test_lists_are_read_alike(wrong: re.Pattern[str]) -> None:
    found = {page: wrong.findall(pages.without_blocks(page)) for page in pages.existing_pages()}
    assert {page: lines for page, lines in found.items() if lines} == {}
