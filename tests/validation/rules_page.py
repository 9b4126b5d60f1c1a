"""docs/rules.md, and docs/rules/<id>.md for each rule, made from the declarations.

`python -m tests.validation.rules_page --update` writes all pages again. An example is what the
first made-up tree that breaks the rule gives (`test_rules.CASES`).
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.remedies import REMEDIES
from mlpstorage_bench.validation.rule import Rule
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.validate import RULE_MODULES, Finding
from tests.validation.rule_verdicts import verdicts

PROJECT = Path(__file__).parents[2]
INDEX = PROJECT / "docs" / "rules.md"
FOLDER = PROJECT / "docs" / "rules"
_INTRODUCTION = """# Rules that `--mlps-validate` checks

Each rule has a page: what it demands, from what it is checked, its verdicts, and what to do next.
The pages are made from the declarations in `mlpstorage_bench/validation`.
Rules with numbers, and LEAF, RPT, PROV, EDN and CHECK, are the published ones of edition 3.0.
Rules that begin with `X-` are our own.
[validation.md](validation.md) explains the verdicts and the command.
"""
_MEANING = {
    "ok": "the demand is met",
    "violated": "the demand is not met; the reason has every problem",
    "warning": "the rules allow it, and a reviewer should look at it",
    "cannot tell": "the files do not say",
    "not applicable": "the rule demands nothing of this part of the tree",
}
_EXAMPLE = re.compile(r"## Example\n\n(?P<example>.*)\Z", re.DOTALL)
_MOST_REASONS = 3
_NO_EXAMPLE = "No tree can be shown to break this rule: its files do not say.\n"


def sections() -> list[tuple[str, Sequence[Rule[Any]]]]:
    """Return the rules on each kind of part, in order."""
    assert RULE_MODULES  # importing them declared the rules
    found: list[tuple[str, Sequence[Rule[Any]]]] = [
        ("The whole tree", RULES.tree),
        ("Each submitter", RULES.organization),
        ("Each system", RULES.system),
        ("Each workload", RULES.workload),
        ("Each run", RULES.leaf),
    ]
    return [(title, sorted(rules, key=lambda rule: _order(rule.id))) for title, rules in found]


def index() -> str:
    """Return the text of the page that lists the rules."""
    parts = [_INTRODUCTION]
    for title, rules in sections():
        parts += [f"## {title}\n", "| rule | name | demand |", "|---|---|---|"]
        parts += [f"| [{one.id}](rules/{one.id}.md) | {one.name} | {one.demand} |" for one in rules]
        parts.append("")
    return "\n".join(parts)


def pages(examples: Mapping[str, str]) -> dict[str, str]:
    """Return rule id → text of its page, with these examples."""
    found = verdicts()
    return {
        rule.id: _page(rule, title, found[rule.id], examples.get(rule.id, _NO_EXAMPLE))
        for title, rules in sections()
        for rule in rules
    }


def example_in(page: str) -> str:
    """Return the example of a page."""
    found = _EXAMPLE.search(page)
    assert found is not None
    return found["example"]


def example_of(finding: Finding, root: Path) -> str:
    """Return a finding as the terminal has it, with its first reasons."""
    reasons = [reason.replace(str(root), "submission") for reason in finding.reasons]
    first = f"{finding.verdict}  {finding.rule}  {finding.subject}"
    lines = [f"{first}  {one}" for one in reasons[:_MOST_REASONS]]
    if len(reasons) > _MOST_REASONS:
        lines.append(f"… and {len(reasons) - _MOST_REASONS} more")
    return "\n".join(["```text", *lines, "```", ""])


def _page(rule: Rule[Any], part: str, found: Mapping[str, Sequence[str]], example: str) -> str:
    published = f"MLPerf Storage, edition {edition.EDITION}"
    lines = [
        f"# {rule.id}",
        "",
        f"{rule.name}: {rule.demand}",
        "",
        "| | |",
        "|---|---|",
        f"| rule of | {'this project' if rule.id.startswith('X-') else published} |",
        f"| judges | {part[0].lower()}{part[1:]}{_concerns(rule)} |",
        f"| checked from | {rule.source} |",
        "",
        "## Verdicts",
        "",
        "| verdict | when |",
        "|---|---|",
        *_rows(rule, found),
        "",
        "## What to do",
        "",
        REMEDIES[rule.id],
        "",
        "[All rules](../rules.md), [verdicts](../validation.md#verdicts)",
        "",
        "## Example",
        "",
        "",
    ]
    return "\n".join(lines) + example


def _rows(rule: Rule[Any], found: Mapping[str, Sequence[str]]) -> Iterator[str]:
    reasons = {verdict: [*found.get(verdict, ())] for verdict in _MEANING if verdict in found}
    if rule.divisions:
        divisions = " and ".join(rule.divisions)
        reasons.setdefault("not applicable", []).insert(0, f"the run is not {divisions}")
    for verdict, meaning in _MEANING.items():
        if verdict in reasons:
            texts = [f"`{one}`" if verdict == "ok" else one for one in reasons[verdict]]
            said = f": {'; '.join(texts)}".replace("|", "\\|") if texts else ""
            yield f"| {verdict} | {meaning}{said} |"


def _concerns(rule: Rule[Any]) -> str:
    concerns = [
        *(f"type {name}" for name in rule.types),
        *(f"command {name}" for name in rule.commands),
        *(f"division {name}" for name in rule.divisions),
    ]
    return f", {', '.join(concerns)}" if concerns else ""


def _order(rule_id: str) -> tuple[object, ...]:
    """Return a key that sorts 2.1.9 before 2.1.10, and named rules last."""
    parts = rule_id.split(".")
    if not all(part.isdigit() for part in parts):
        return (1, rule_id)
    return (0, *map(int, parts))


def _made_examples() -> dict[str, str]:
    """Return the example of each rule that a made-up tree breaks."""
    from tests.validation.test_rules import finding_of, first_cases  # noqa: PLC0415 - for --update

    found = {}
    for rule_id, verdict, act in first_cases():
        with tempfile.TemporaryDirectory() as folder:
            finding, root = finding_of(Path(folder), rule_id, verdict, act)
            found[rule_id] = example_of(finding, root)
    return found


if __name__ == "__main__" and sys.argv[1:] == ["--update"]:
    INDEX.write_text(index())
    FOLDER.mkdir(exist_ok=True)
    written = pages(_made_examples())
    for page in FOLDER.glob("*.md"):
        page.unlink()
    for rule_id, text in written.items():
        (FOLDER / f"{rule_id}.md").write_text(text)
