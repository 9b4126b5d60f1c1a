"""docs/metrics.md equals the page that is generated from the declarations.

`python -m tests.kvcache.results.test_metrics_page --update` writes the page again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mlpstorage_bench.kvcache.results.metrics.declared import GROUPS
from mlpstorage_bench.metric.page import metrics_page

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
BEGIN = "<!-- metrics: made by python -m tests.kvcache.results.test_metrics_page --update -->\n"
END = "<!-- end of metrics -->\n"


def page_with_metrics(page: str) -> str:
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n{metrics_page(GROUPS)}\n{END}{after}"


def test_metrics_page_equals_the_declarations() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with_metrics(page), (
        "run python -m tests.kvcache.results.test_metrics_page --update"
    )


if __name__ == "__main__" and sys.argv[1:] == ["--update"]:
    PAGE.write_text(page_with_metrics(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
