"""Reports as files: Markdown, and HTML through templates."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import for_terminal_lines, shortened
from mlpstorage_bench.paths import starts_with
from mlpstorage_bench.report.markdown import MARKDOWN_BEGINNING, to_markdown
from mlpstorage_bench.report.page import Block, Page
from mlpstorage_bench.results.tree import write_named

REPORT_OPTION = "--mlps-report"
_HTML_BEGINNING = "<!doctype html>\n" + MARKDOWN_BEGINNING
MOST_BYTES = 2_000_000
"""Size of a page: of larger ones, folded blocks are emptied, the last one first."""
_EMPTIED = "Left out, to keep the page below 2 MB: the numbers are in the run's files."
_LONGEST_TEXT = 1000
"""Characters of one text on a page."""


def check_renderer(path: Path) -> None:
    """Raise InvalidInputError if this file's format cannot be rendered here."""
    if path.suffix == ".html" and importlib.util.find_spec("jinja2") is None:
        raise InvalidInputError(
            REPORT_OPTION,
            str(path),
            "a name in .md, as jinja2 is not installed",
            hint="For HTML: pip install 'mlpstorage-bench[report]'",
        )


def write_report(path: Path, page: Page) -> Path:
    """Write a report in the format of the file's suffix; InvalidInputError on failure."""
    return write_named(REPORT_OPTION, path, _RENDERERS[path.suffix](page))


def is_own_report(path: Path) -> bool:
    """Return whether a file is a report that an earlier run has written."""
    beginning = _HTML_BEGINNING if path.suffix == ".html" else MARKDOWN_BEGINNING
    return starts_with(beginning.encode())(path)


def to_html(page: Page) -> str:
    """Render a report as one self-contained page; its text contains no markup."""
    import jinja2  # noqa: PLC0415 - an extra: needed for HTML alone
    import markupsafe  # noqa: PLC0415 - comes with it

    def shown(value: object) -> object:
        """Return a value as text without control characters; markup of our macros as it is."""
        if isinstance(value, markupsafe.Markup):
            return value
        text = str(value)
        return for_terminal_lines(text if page.is_complete else shortened(text, _LONGEST_TEXT))

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mlpstorage_bench.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
        undefined=jinja2.StrictUndefined,
    )
    template = environment.get_template("report.html")
    blocks = list(page.blocks)
    while True:
        cut = replace(page, blocks=tuple(blocks))
        text = template.render(page=cut, next_id=itertools.count(1).__next__).lstrip()
        last = next((n for n in reversed(range(len(blocks))) if _may_be_emptied(blocks[n])), None)
        if page.is_complete or len(text.encode()) < MOST_BYTES or last is None:
            return text
        blocks[last] = replace(blocks[last], sections=(), figures=(), notes=(_EMPTIED,))


def _may_be_emptied(block: Block) -> bool:
    return block.is_folded and block.notes != (_EMPTIED,)


_RENDERERS: Mapping[str, Callable[[Page], str]] = {
    ".md": lambda page: MARKDOWN_BEGINNING + to_markdown(page),
    ".html": to_html,
}
