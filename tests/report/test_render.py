from __future__ import annotations

import pytest

from mlpstorage_bench.report.charts.marks import Curve, Figure, path_of
from mlpstorage_bench.report.markdown import to_markdown
from mlpstorage_bench.report.page import Block, Page, Verdict
from mlpstorage_bench.report.render import MOST_BYTES, to_html
from mlpstorage_bench.report.tables import Section

EVIL = "<script>alert(1)</script>"
PAGE = Page(
    "run <1>",
    Verdict("bad", "Failed", "a|b"),
    notes=("not comparable | at all",),
    blocks=(
        Block("Results", (Section("", ("case", "value"), (("a|b", EVIL),)),)),
        Block("Hosts <1>", (Section("", ("host",), (("h",),)),), is_folded=True),
    ),
)


def test_markdown_keeps_cells_apart_and_markup_out() -> None:
    assert to_markdown(PAGE).splitlines() == [
        "# run &lt;1&gt;",
        "",
        "❌ **Failed**: a\\|b",
        "",
        "> not comparable \\| at all",
        "",
        "## Results",
        "",
        "| case | value |",
        "| --- | --- |",
        "| a\\|b | &lt;script&gt;alert(1)&lt;/script&gt; |",
        "",
        "<details><summary>Hosts &lt;1&gt;</summary>",
        "",
        "| host |",
        "| --- |",
        "| h |",
        "",
        "</details>",
    ]


@pytest.mark.slow
def test_markdown_beyond_the_limit_names_the_parts_that_it_leaves_out() -> None:
    rows = tuple((f"h{number}", "x" * 300) for number in range(60))
    page = Page(
        "run 1",
        Verdict("good", "Passed", "all"),
        blocks=(
            Block("Results", (Section("", ("case",), (("1",),)),)),
            Block("Hosts", (Section("", ("host", "of"), rows),), is_folded=True),
        ),
    )
    text = to_markdown(page, most_bytes=10_000)
    assert len(text.encode()) <= 10_000
    assert "| 1 |" in text
    assert text.endswith("Left out, as a comment has a limit: Hosts.\n")


@pytest.mark.slow
def test_html_escapes_external_text() -> None:
    page = to_html(PAGE)
    assert page.startswith("<!doctype html>\n<!-- written by mlpstorage_bench -->\n")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<h1>run &lt;1&gt;</h1>" in page


def test_long_lines_of_drawings_are_kept_and_long_texts_cut() -> None:
    points = path_of([(float(x), 1.0) for x in range(400)])
    figure = Figure("t", "s", 10, Section("", (), ()), curves=[Curve(points, "line")])
    page = to_html(Page("run", picture=figure, notes=("x" * 5000,)))
    assert f'd="{points}"' in page
    assert "x" * 1001 not in page


def test_title_of_a_folded_part_stays_within_its_line() -> None:
    rows = Section("", ("host",), (("h",),))
    page = Page("run", blocks=(Block("case\n\n[a](https://e.example)", (rows,), is_folded=True),))
    (line,) = [line for line in to_markdown(page).splitlines() if "e.example" in line]
    assert line == ("<details><summary>case <code>[a](https://e.example)</code></summary>")


@pytest.mark.slow
def test_page_of_many_folded_blocks_empties_as_few_of_the_last_as_it_must() -> None:
    rows = tuple((f"{number} {'x' * 900}",) for number in range(50))
    table = Section("", ("a",), rows)
    drawn = Figure("chart of ranks", "s", 10, Section("", (), ()))
    blocks = [Block(f"b{n}", (table,), on_demand=(drawn,), is_folded=True) for n in range(100)]
    page = to_html(Page("run", blocks=(Block("open", (table,)), *blocks)))
    one = len(to_html(Page("run", blocks=(blocks[0],)))) - len(to_html(Page("run")))
    assert MOST_BYTES - 2 * one < len(page) < MOST_BYTES
    left = page.count("Left out, to keep the page")
    assert 0 < left < 100
    assert page.index("Left out, to keep the page") > page.rindex("x" * 900)
