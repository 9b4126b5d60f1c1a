"""Text from outside as it is shown: it does nothing in a terminal, in Markdown and in HTML.

Names, messages and values come from files, hosts and other programs. Control characters would move
the cursor and forge lines, characters that set the direction of text would reorder them, and markup
would become links.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

MOST_SHOWN = 200
"""Characters of a value in a message."""
_LINK = re.compile(r"[^\s|`]*(?:://|\bwww\.|@|[#!][0-9]|\bGH-[0-9])[^\s|`]*", re.IGNORECASE)
"""A word that readers of Markdown turn into a link, or into a mention of a user or an issue."""
_MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_FIRST = re.compile(
    r"^([0-9]+)(?=[.)](?:\s|$))|^(?=(?:#+|[+-])(?:\s|$)|[=-]{2}|/[A-Za-z_]+(?:\s|$))"
)
"""Beginning of a heading, a list, a rule or a command of GitLab, up to what makes it one."""


def for_terminal(text: str) -> str:
    """Return the text in one line; a character that is not printable becomes its escape."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def for_terminal_lines(text: str) -> str:
    """Return the text with its line ends, and every line as `for_terminal` returns it."""
    return "\n".join(map(for_terminal, text.split("\n")))


def for_markdown(text: str) -> str:
    """Return the text in one line, for a paragraph, a list or a table's cell of Markdown.

    Markup is escaped. Words that would become links are shown as code.
    """
    return _shown(text, _without_markup, lambda link: f"`{link}`")


def for_html(text: str) -> str:
    """Return the text for an element or a quoted attribute of HTML."""
    return html.escape(for_terminal_lines(text))


def for_html_line(text: str) -> str:
    """Return the text in one line, for HTML in Markdown: an empty line would end that.

    Words that would become links are shown as code.
    """
    return _shown(text, html.escape, lambda link: f"<code>{html.escape(link)}</code>")


def shortened(text: str, most: int = MOST_SHOWN) -> str:
    """Return the text, or its beginning and end around the number of characters left out."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}...[{len(text) - 2 * half} more]...{text[-half:]}"


def _shown(text: str, escape: Callable[[str], str], as_code: Callable[[str], str]) -> str:
    """Return the text in one line, escaped, and its links as code."""
    line = for_terminal(" ".join(text.split()))
    parts, end = [], 0
    for link in _LINK.finditer(line):
        parts += [escape(line[end : link.start()]), as_code(link[0])]
        end = link.end()
    return "".join([*parts, escape(line[end:])])


def _escaped(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def _without_markup(text: str) -> str:
    named = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _FIRST.sub(r"\g<1>\\", _MARKUP.sub(r"\\\g<0>", named))
