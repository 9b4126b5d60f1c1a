"""docs/metrics.md equals the page that is generated from the declarations.

`python -m tests.kvcache.results.test_metrics_page --update` writes the page again.
"""

from __future__ import annotations

from mlpstorage_bench.kvcache.results.metrics.declared import GROUPS
from mlpstorage_bench.metric.page import metrics_page
from tests.docs.made_part import MadePart

METRICS = MadePart(
    "docs/metrics.md",
    "metrics",
    "tests.kvcache.results.test_metrics_page",
    lambda: metrics_page(GROUPS),
)


def test_metrics_page_equals_the_declarations() -> None:
    METRICS.check()


if __name__ == "__main__":
    METRICS.main()
