"""The documentation as a site: its build, and what its pages load."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from tests.docs.pages import PROJECT

CONFIGURATION = PROJECT / "zensical.toml"
_WITHOUT_NETWORK = ("unshare", "--map-root-user", "--net")
_LOADED_ON_DEMAND = frozenset({"mermaid", "glightbox", "pyodide"})
"""Classes of elements for which the theme's script loads another script from unpkg.com."""
_FOREIGN_IN_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)\"']*")


def navigation() -> list[str]:
    """Return the pages in the navigation, as paths below docs/."""
    return [*_pages(tomllib.loads(CONFIGURATION.read_text())["project"]["nav"])]


def build(directory: Path) -> Path:
    """Build the site of a copy in a directory, and return its folder.

    It is built without network where this user may make a namespace.
    """
    shutil.copytree(PROJECT / "docs", directory / "docs")
    shutil.copy(CONFIGURATION, directory)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    can_isolate = shutil.which(_WITHOUT_NETWORK[0]) is not None and (
        subprocess.run([*_WITHOUT_NETWORK, "true"], check=False, capture_output=True).returncode
        == 0
    )
    isolated = [*_WITHOUT_NETWORK, *command] if can_isolate else command
    done = subprocess.run(isolated, cwd=directory, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory / "site"


def foreign_sources(folder: Path) -> Iterator[str]:
    """Yield what pages and style sheets load from other hosts, with the file that does."""
    for path in sorted(folder.rglob("*.html")):
        reader = _Sources()
        reader.feed(path.read_text())
        yield from (f"{path.relative_to(folder)}: {source}" for source in reader.foreign)
    for path in sorted(folder.rglob("*.css")):
        for found in _FOREIGN_IN_STYLE.findall(path.read_text()):
            yield f"{path.relative_to(folder)}: {found}"


def _pages(entries: object) -> Iterator[str]:
    """Yield the pages of a list of navigation entries, at any depth."""
    if isinstance(entries, str):
        yield entries
    elif isinstance(entries, dict):
        for entry in entries.values():
            yield from _pages(entry)
    elif isinstance(entries, list):
        for entry in entries:
            yield from _pages(entry)


class _Sources(HTMLParser):
    """Collects sources of other hosts; a link that a reader may follow is none."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        on_demand = _LOADED_ON_DEMAND.intersection(values.get("class", "").split())
        self.foreign += [f"<{tag} class={name}>" for name in sorted(on_demand)]
        for name in ("src", "srcset", "data", "poster", "href"):
            is_link = tag == "a" and name == "href"
            if not is_link and re.match(r"(?:https?:)?//", values.get(name, "")):
                self.foreign.append(f"<{tag} {name}={values[name]}>")
        self.foreign += _FOREIGN_IN_STYLE.findall(values.get("style", ""))
