"""docs/rules.md: a section for each rule, made from the declarations.

`python -m tests.validation.rules_page --update` writes the page again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlpstorage_bench.validation.rule import Rule
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.validate import RULE_MODULES

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
_INTRODUCTION = """# Rules that `--mlps-validate` checks

This page is made from the declarations in `mlpstorage_bench/validation/rules`.
Rules with numbers, and LEAF, RPT, PROV, EDN and CHECK, are the published ones of edition 3.0.
Rules that begin with `X-` are our own.
[validation.md](validation.md) explains the verdicts and the command.
"""


def page() -> str:
    """Return the page's text."""
    assert RULE_MODULES  # importing them declared the rules
    parts = [_INTRODUCTION]
    sections: list[tuple[str, Sequence[Rule[Any]]]] = [
        ("The whole tree", RULES.tree),
        ("Each submitter", RULES.organization),
        ("Each system", RULES.system),
        ("Each workload", RULES.workload),
        ("Each run", RULES.leaf),
    ]
    for title, rules in sections:
        parts.append(f"## {title}\n")
        parts += [_section(rule) for rule in sorted(rules, key=lambda rule: _order(rule.id))]
    return "\n".join(parts)


def _section(rule: Rule[Any]) -> str:
    concerns = ", ".join(
        [
            *(f"type {name}" for name in rule.types),
            *(f"command {name}" for name in rule.commands),
            *(f"division {name}" for name in rule.divisions),
        ]
    )
    lines = [f"### {rule.id}", "", f"{rule.name}: {rule.demand}", ""]
    lines.append(f"Checked from: {rule.source}.")
    if concerns:
        lines.append(f"Concerns: {concerns}.")
    return "\n".join([*lines, ""])


def _order(rule_id: str) -> tuple[object, ...]:
    """Return a key that sorts 2.1.9 before 2.1.10, and named rules last."""
    parts = rule_id.split(".")
    if not all(part.isdigit() for part in parts):
        return (1, rule_id)
    return (0, *map(int, parts))


if __name__ == "__main__" and sys.argv[1:] == ["--update"]:
    PAGE.write_text(page())
