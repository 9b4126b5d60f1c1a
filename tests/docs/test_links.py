"""Links between the pages of the documentation."""

from __future__ import annotations

from pathlib import Path

from tests.docs import pages


def broken_links(page: Path) -> list[str]:
    broken = []
    for target in pages.links(page):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in pages.anchors(file)):
            broken.append(target)
    return broken


def test_links_lead_to_existing_files_and_headings() -> None:
    found = {page: broken_links(page) for page in pages.existing_pages()}
    assert {page: targets for page, targets in found.items() if targets} == {}
