"""Reports as files: Markdown, and HTML through templates."""

from __future__ import annotations

import bisect
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

    def rendered(emptied: int) -> str:
        """Return the page with so many of its last folded blocks emptied."""
        blocks = list(page.blocks)
        folded = [place for place, one in enumerate(blocks) if one.is_folded]
        for place in folded[len(folded) - emptied :]:
            blocks[place] = _emptied(blocks[place])
        numbers = itertools.count(1)
        cut = replace(page, blocks=tuple(blocks))
        return template.render(page=cut, next_id=numbers.__next__).lstrip()

    text = rendered(0)
    if page.is_complete or _fits(text):
        return text
    counts = range(1, 1 + sum(block.is_folded for block in page.blocks))
    fitting = bisect.bisect_left(counts, 1, key=lambda count: _fits(rendered(count)))
    return rendered(min(fitting + 1, len(counts)))


def _fits(text: str) -> bool:
    return len(text.encode()) < MOST_BYTES


def _emptied(block: Block) -> Block:
    return replace(block, sections=(), figures=(), on_demand=(), notes=(_EMPTIED,))


_RENDERERS: Mapping[str, Callable[[Page], str]] = {
    ".md": lambda page: MARKDOWN_BEGINNING + to_markdown(page),
    ".html": to_html,
}
