"""Text from outside acts on no terminal, Markdown or HTML."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.escaping import (
    for_html,
    for_html_line,
    for_markdown,
    for_terminal,
    for_terminal_lines,
    shortened,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größer, 北京, 🙂", "größer, 北京, 🙂"),
        ("\x1b[2K\rforged", "\\x1b[2K\\rforged"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("\x9b31m", "\\x9b31m"),
        ("\u2028", "\\u2028"),
        ("half \ud83d", "half \\ud83d"),
        ("\ufeff", "\\ufeff"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_characters_that_are_not_printable_are_shown_as_escapes(text: str, shown: str) -> None:
    assert for_terminal(text) == shown


@given(st.text())
def test_text_for_a_terminal_is_one_printable_line(text: str) -> None:
    assert for_terminal(text).isprintable()
    assert for_terminal_lines(text).count("\n") == text.count("\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a\\|b"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("[x](javascript:y)", "\\[x\\](javascript:y)"),
        ("see https://evil.example/a_b now", "see `https://evil.example/a_b` now"),
        ("www.evil.example", "`www.evil.example`"),
        ("thanks @team, bye", "thanks `@team,` bye"),
        ("`code` *x*", "\\`code\\` \\*x\\*"),
        ("# heading", "\\# heading"),
        ("1. item", "1\\. item"),
        ("1.5 s", "1.5 s"),
        ("- item", "\\- item"),
        ("-3 %", "-3 %"),
        ("> quoted", "&gt; quoted"),
        ("read_gib_s _x_", "read_gib_s \\_x\\_"),
        ("/close now", "\\/close now"),
        ("a/b", "a/b"),
        ("/mnt/array: ext4", "/mnt/array: ext4"),
        ("fixes o/r#3, #4 !5 gh-6", "fixes `o/r#3,` `#4` `!5` `gh-6`"),
        ("no. # 3!", "no. # 3!"),
        ("two\nlines\x1b[0m", "two lines\\\\x1b\\[0m"),
    ],
)
def test_markup_is_text_in_markdown(text: str, shown: str) -> None:
    assert for_markdown(text) == shown


def test_markup_is_text_in_html() -> None:
    assert for_html('<a href="x">\x1b') == "&lt;a href=&quot;x&quot;&gt;\\x1b"


def test_html_in_markdown_is_one_line_without_links() -> None:
    text = 'a\n\n[b](c) <i> @team "#3" x\x1b'
    shown = "a [b](c) &lt;i&gt; <code>@team</code> <code>&quot;#3&quot;</code> x\\x1b"
    assert for_html_line(text) == shown


def test_long_text_is_shortened_in_its_middle() -> None:
    assert shortened("short") == "short"
    assert shortened("a" * 300 + "b" * 300, 20) == f"{'a' * 10}...[580 more]...{'b' * 10}"
