"""Reports as Markdown that fits into a comment: the outcome first, details as far as they fit."""

from __future__ import annotations

from collections.abc import Iterator

from mlpstorage_bench.escaping import for_html_line, for_markdown, shortened
from mlpstorage_bench.report.page import Block, Page, Tile
from mlpstorage_bench.report.tables import Section

MARKDOWN_BEGINNING = "<!-- written by mlpstorage_bench -->\n"
"""First characters of an own report, which may be overwritten."""
MOST_BYTES = 64_000
"""GitHub accepts 65536 characters in a comment, GitLab 1 000 000; the rest is for who posts it."""
_LONGEST_TEXT = 400
_MOST_ROWS = 60
_RESERVE = 600
"""Bytes for the line that names what was left out."""
_MARKS = {"good": "✅", "bad": "❌", "unsure": "⚠️"}


def to_markdown(page: Page, most_bytes: int = MOST_BYTES) -> str:
    """Render a report as Markdown of GitHub and GitLab; its text contains no markup and no links.

    Unless the page is complete, parts at the end that do not fit are left out, and a last line
    names them.
    """
    parts = [part for part in _Parts(page).all() if part[1]]
    if page.is_complete:
        return "".join(part for _, part in parts)
    text, left_out = "", []
    for title, part in parts:
        if len((text + part).encode()) <= most_bytes - _RESERVE:
            text += part
        else:
            left_out.append(title)
    if left_out:
        names = shortened(", ".join(dict.fromkeys(left_out)))
        text += f"\nLeft out, as a comment has a limit: {for_markdown(names)}.\n"
    return text


class _Parts:
    """Parts of a page as Markdown."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def all(self) -> Iterator[tuple[str, str]]:
        """Yield parts with their titles, the most important first."""
        page = self._page
        yield page.title, self._head()
        notes = "\n>\n".join(f"> {self._text(note)}" for note in page.notes)
        yield "notes", f"\n{notes}\n" if notes else ""
        for block in page.blocks:
            if not block.is_folded:
                yield block.title, self._block(block)
        for block in page.blocks:
            if block.is_folded:
                yield block.title, self._folded(block.title, self._content(block))
        for block in page.blocks:
            for figure in block.figures:
                title = f"{block.title}: {figure.title}"
                yield title, self._folded(title, self._table(figure.table))

    def _head(self) -> str:
        page = self._page
        lines = [f"# {self._text(page.title)}", ""]
        if page.verdict is not None:
            verdict = page.verdict
            word, reason = self._text(verdict.word), self._text(verdict.reason)
            lines += [f"{_MARKS[verdict.kind]} **{word}**: {reason}", ""]
        if page.findings:
            lines += [*(f"- {self._text(finding)}" for finding in page.findings), ""]
        if page.tiles:
            lines += [f"**{self._text(page.tiles_title)}**", "", self._tiles(page.tiles)]
        for line in page.sparklines:
            lines += [f"{self._text(line.name)}: {self._text(line.text)}", ""]
        lines += [f"- {self._text(fact.name)}: {self._text(fact.text)}" for fact in page.facts]
        return "\n".join(lines).rstrip() + "\n"

    def _tiles(self, tiles: tuple[Tile, ...]) -> str:
        rows = ((one.label, f"{one.value} {one.unit}".rstrip(), one.beside) for one in tiles)
        return self._table(Section("", ("figure", "value", "spread, samples"), tuple(rows)))

    def _block(self, block: Block) -> str:
        text = self._content(block)
        return f"\n## {self._text(block.title)}\n\n{text.rstrip()}\n" if text else ""

    def _content(self, block: Block) -> str:
        text = "".join(f"{self._text(note)}\n\n" for note in block.notes)
        for section in block.sections:
            if section.rows:
                if section.title not in ("", block.title):
                    text += f"### {self._text(section.title)}\n\n"
                text += f"{self._table(section)}\n"
        return text

    def _folded(self, title: str, text: str) -> str:
        if not text:
            return ""
        summary = for_html_line(shortened(title))
        return f"\n<details><summary>{summary}</summary>\n\n{text.rstrip()}\n\n</details>\n"

    def _table(self, section: Section) -> str:
        if not section.rows:
            return ""
        shown = section if self._page.is_complete else section.cut(_MOST_ROWS)
        lines = [" | ".join(map(self._text, shown.header)), " | ".join("---" for _ in shown.header)]
        lines += [" | ".join(map(self._text, row)) for row in shown.rows]
        return "".join(f"| {line} |\n" for line in lines)

    def _text(self, text: str) -> str:
        return for_markdown(text if self._page.is_complete else shortened(text, _LONGEST_TEXT))
