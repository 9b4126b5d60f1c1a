"""docs/rules.md is what the declarations make."""

from __future__ import annotations

from mlpstorage_bench.validation.rule import Verdict
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.validate import RULES_PAGE, Finding
from tests.docs.pages import PROJECT, anchors
from tests.validation.rules_page import PAGE, page


def test_page_is_made_from_the_declarations() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.validation.rules_page --update"


def test_every_rule_has_a_section() -> None:
    lines = PAGE.read_text().splitlines()
    assert [f"### {rule.id}" for rule in RULES.all() if f"### {rule.id}" not in lines] == []


def test_every_finding_leads_to_the_section_of_its_rule() -> None:
    targets = [
        Finding(rule.id, "", "", Verdict.OK, (), "", "").described_in.partition("#")
        for rule in RULES.all()
    ]
    assert {page for page, _, _ in targets} == {RULES_PAGE}
    assert PROJECT / RULES_PAGE == PAGE
    sections = [section for _, _, section in targets]
    assert set(sections) <= anchors(PAGE)
    assert len(set(sections)) == len({rule.id for rule in RULES.all()})
