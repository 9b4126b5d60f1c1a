"""docs/rules.md is what the declarations make."""

from __future__ import annotations

from mlpstorage_bench.validation.rules import RULES
from tests.validation.rules_page import PAGE, page


def test_page_is_made_from_the_declarations() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.validation.rules_page --update"


def test_every_rule_has_a_section() -> None:
    lines = PAGE.read_text().splitlines()
    assert [f"### {rule.id}" for rule in RULES.all() if f"### {rule.id}" not in lines] == []
