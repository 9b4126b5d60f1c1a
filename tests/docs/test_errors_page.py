"""docs/errors.md has the messages that the product's code raises."""

from __future__ import annotations

import pytest

from tests.docs.errors import SECTIONS
from tests.docs.errors_page import PAGE, made_page


@pytest.mark.starts_process
def test_page_has_the_messages_of_the_product() -> None:
    page = PAGE.read_text()
    assert page == made_page(page), "run: python -m tests.docs.errors_page --update"


def test_titles_are_anchors_of_their_own() -> None:
    titles = [one.title for situations in SECTIONS.values() for one in situations]
    assert len({title.lower() for title in titles}) == len(titles)
