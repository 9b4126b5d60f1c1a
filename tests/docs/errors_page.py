"""The messages of docs/errors.md; `python -m tests.docs.errors_page --update` writes them again."""

from __future__ import annotations

import re
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

from mlpstorage_bench.launch.host_list import parse_hosts
from tests.docs.errors import ACCEPTED_HOSTS, SECTIONS, Situation
from tests.docs.pages import PROJECT

PAGE = PROJECT / "docs" / "errors.md"
WIDTH = 84
"""Columns of a message, which the program prints in one line: pages have that many."""
END = "<!-- end -->\n"


def begin(name: str) -> str:
    """Return the marker before a part."""
    return f"<!-- {name}: made by tests/docs/errors.py -->\n"


def part(situations: Sequence[Situation]) -> str:
    """Return the sections of some situations as Markdown."""
    return "".join(f"\n{section(one)}" for one in situations) + "\n"


def section(one: Situation) -> str:
    """Return the section of a situation: its title, the message and what to know about it."""
    with tempfile.TemporaryDirectory() as directory:
        said = one.message(Path(directory))
    message = textwrap.fill(said, WIDTH, break_long_words=False, break_on_hyphens=False)
    meaning = re.sub(r"(?<=\.) ", "\n", one.meaning)  # a sentence a line
    meaning = f"\n{meaning}\n" if meaning else ""
    return f"### {one.title}\n\n```text\n{message}\n```\n{meaning}"


def accepted_hosts() -> str:
    """Return the table of lists of hosts and of the hosts that are read from them."""
    rows = ["", "| given | form of | hosts |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as directory:
        for given, form in ACCEPTED_HOSTS:
            path, value = Path(directory) / "hosts", given
            if given.startswith("@"):
                path.write_text(given[1:])
                value = f"@{path}"
            found = ", ".join(map(str, parse_hosts([value])))
            shown = "<br>".join(f"`{line}`" for line in given.removeprefix("@").splitlines())
            rows.append(f"| {shown} | {form} | {found} |")
    return "\n".join(rows) + "\n\n"


def made_page(page: str) -> str:
    """Return the page with its parts replaced by what the product's code says now."""
    parts = {name: part(situations) for name, situations in SECTIONS.items()}
    for name, text in {**parts, "accepted hosts": accepted_hosts()}.items():
        before, _, rest = page.partition(begin(name))
        _, _, after = rest.partition(END)
        page = f"{before}{begin(name)}{text}{END}{after}"
    return page


if __name__ == "__main__" and sys.argv[1:] == ["--update"]:
    PAGE.write_text(made_page(PAGE.read_text()))
