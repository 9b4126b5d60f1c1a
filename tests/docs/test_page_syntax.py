"""Pages are written so that GitHub and the site, which uses Python-Markdown, read them alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import pages

_ITEM = r"(?:-|\d+\.) "
_LIST_WITHOUT_BLANK_LINE = re.compile(rf"^(?! |{_ITEM}).+\n{_ITEM}.*", re.MULTILINE)
_SHALLOW = re.compile(r"(?<=\n\n)(?: {1,3}| {5,7})\S.*")
"""A paragraph or code in a list item, which has to be indented by four or eight spaces."""

each_page = pytest.mark.parametrize("page", pages.existing_pages(), ids=lambda page: page.name)


@each_page
def test_blocks_are_marked_by_one_word(page: Path) -> None:
    languages = {language for language, _ in pages.blocks(page)}
    assert languages <= {"", "console", "python", "text", "yaml"}


@each_page
def test_lists_begin_after_a_blank_line(page: Path) -> None:
    assert _LIST_WITHOUT_BLANK_LINE.findall(pages.without_blocks(page)) == []


@each_page
def test_content_of_an_item_is_indented_far_enough(page: Path) -> None:
    assert _SHALLOW.findall(pages.without_blocks(page)) == []
