"""Links between the pages of the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import pages


@pytest.mark.parametrize("page", pages.existing_pages(), ids=lambda page: page.name)
def test_links_lead_to_existing_files_and_headings(page: Path) -> None:
    broken = []
    for target in pages.links(page):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in pages.anchors(file)):
            broken.append(target)
    assert broken == []
