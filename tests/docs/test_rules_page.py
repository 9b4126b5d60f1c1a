"""docs/rules.md and the page of each rule are what the declarations make."""

from __future__ import annotations

import pytest

from mlpstorage_bench.validation.remedies import REMEDIES
from mlpstorage_bench.validation.rule import Verdict
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.validate import RULES_PAGE, Finding
from tests.docs.pages import PROJECT
from tests.validation.rule_verdicts import verdicts
from tests.validation.rules_page import FOLDER, INDEX, example_in, index, pages

IDS = [rule.id for rule in RULES.all()]
UPDATE = "run: python -m tests.validation.rules_page --update"


@pytest.mark.slow
def test_pages_are_made_from_the_declarations() -> None:
    written = {path.stem: path.read_text() for path in FOLDER.glob("*.md")}
    assert INDEX.read_text() == index(), UPDATE
    examples = {rule_id: example_in(text) for rule_id, text in written.items()}
    assert written == pages(examples), UPDATE


def test_every_rule_has_a_page_and_a_remedy_of_its_own() -> None:
    assert len({*IDS}) == len(IDS)
    assert {path.stem for path in FOLDER.glob("*.md")} == {*IDS}
    assert REMEDIES.keys() == {*IDS}


def test_every_finding_leads_to_the_page_of_its_rule() -> None:
    targets = {
        rule_id: Finding(rule_id, "", "", Verdict.OK, (), "", "").described_in for rule_id in IDS
    }
    assert PROJECT / RULES_PAGE == INDEX
    assert {rule_id: PROJECT / target for rule_id, target in targets.items()} == {
        rule_id: FOLDER / f"{rule_id}.md" for rule_id in IDS
    }


def test_every_check_has_verdicts_that_its_code_shows() -> None:
    found = verdicts()
    assert found.keys() == {*IDS}
    assert [rule_id for rule_id, one in found.items() if not one] == []
