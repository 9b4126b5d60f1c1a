from __future__ import annotations

from mlpstorage_bench.report.document import Report, Section
from mlpstorage_bench.report.render import to_html, to_markdown

REPORT = Report(
    "run <1>",
    ("not comparable | at all",),
    (Section("Results", ("case", "value"), (("a|b", "<script>alert(1)</script>"),)),),
)


def test_markdown_keeps_cells_apart_and_markup_out() -> None:
    assert to_markdown(REPORT).splitlines() == [
        "# run &lt;1&gt;",
        "",
        "> not comparable \\| at all",
        "",
        "## Results",
        "",
        "| case | value |",
        "| --- | --- |",
        "| a\\|b | &lt;script&gt;alert(1)&lt;/script&gt; |",
    ]


def test_html_escapes_external_text() -> None:
    page = to_html(REPORT)
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<h1>run &lt;1&gt;</h1>" in page
