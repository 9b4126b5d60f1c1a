"""The site: each page has a place in it, it builds strictly, and it loads nothing from others."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.built_site import build, foreign_sources, navigation
from tests.docs.pages import PROJECT

DOCS = PROJECT / "docs"


def test_navigation_has_every_page_once() -> None:
    pages = [page.name for page in DOCS.glob("*.md")]
    assert sorted(navigation()) == sorted(pages), "nav in zensical.toml"


def test_sources_of_other_hosts_are_found(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<a href="https://other.example"></a><img src="own.png"><link href="//other.example/x.css">'
        '<script src="https://other.example/x.js"></script><pre class="mermaid"></pre>'
    )
    (tmp_path / "style.css").write_text('@import "https://other.example"; a { b: url(own.svg) }')
    assert [*foreign_sources(tmp_path)] == [
        "page.html: <link href=//other.example/x.css>",
        "page.html: <script src=https://other.example/x.js>",
        "page.html: <pre class=mermaid>",
        'style.css: @import "https://other.example',
    ]


@pytest.mark.slow
@pytest.mark.starts_process
@pytest.mark.skipif(find_spec("zensical") is None, reason="make site installs zensical")
def test_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    site = build(tmp_path)
    assert {f"{Path(page).stem}.html" for page in navigation()} <= {
        page.name for page in site.glob("*.html")
    }
    assert [*foreign_sources(site)] == []
