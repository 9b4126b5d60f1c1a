"""The default rules in docs/gate.md; `python -m tests.docs.gate_page --update` makes the table."""

from __future__ import annotations

from mlpstorage_bench import registry
from mlpstorage_bench.gate.rules import parse_rules
from tests.docs.made_part import MadePart, table


def default_rules() -> str:
    """Return the table of the rules that apply without any option, by benchmark type."""
    rows = []
    for name in registry.names():
        rules = parse_rules(registry.load(name).metrics, []).of_case("1")
        by_change: dict[str, list[str]] = {}
        for metric, rule in rules.items():
            by_change.setdefault(str(rule), []).append(f"`{metric}`")
        rows += [(f"`{name}`", change, ", ".join(found)) for change, found in by_change.items()]
    return table(("type", "default rule", "metrics"), rows)


DEFAULT_RULES = MadePart("docs/gate.md", "default rules", "tests.docs.gate_page", default_rules)

if __name__ == "__main__":
    DEFAULT_RULES.main()
