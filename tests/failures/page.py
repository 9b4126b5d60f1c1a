"""The tables of docs/failures.md; `python -m tests.failures.page --update` writes them again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.failures.odd_moments import ODD_MOMENTS
from tests.failures.scenario import Scenario
from tests.failures.scenarios import SCENARIOS

PAGE = Path(__file__).parent.parent.parent / "docs/failures.md"
TABLES = {"scenarios": SCENARIOS, "odd_moments": ODD_MOMENTS}
HEAD = "| what happens | ends within | exit status | the run's status |\n|---|---|---|---|\n"


def table(scenarios: Sequence[Scenario]) -> str:
    """Return a table as Markdown."""
    return HEAD + "".join(
        f"| {one.what} | {one.bound} | {one.status_text} | {one.run_status_text} |\n"
        for one in scenarios
    )


def page_with_tables(page: str) -> str:
    """Return the page with its tables replaced by the current ones."""
    for name, scenarios in TABLES.items():
        begin, end = (
            f"<!-- table: made by tests/failures/{name}.py -->\n",
            "<!-- end of table -->\n",
        )
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}{table(scenarios)}{end}{after}"
    return page


if __name__ == "__main__" and sys.argv[1:] == ["--update"]:
    PAGE.write_text(page_with_tables(PAGE.read_text()))
