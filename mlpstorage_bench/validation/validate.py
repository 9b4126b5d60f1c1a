"""Checks every part of a tree with every rule that concerns it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.validation.rule import Outcome, Part, Rule, Verdict
from mlpstorage_bench.validation.rules import (
    RULES,
    checkpointing,
    checkpointing_phases,
    code_images,
    dlio_files,
    general,
    kv_cache,
    kv_cache_ranks,
    kv_cache_results,
    own_completeness,
    own_figures,
    provenance,
    training,
    vector_database,
)
from mlpstorage_bench.validation.tree import Organization, System, Tree, Workload

RULE_MODULES = (
    general,
    dlio_files,
    code_images,
    provenance,
    training,
    checkpointing,
    checkpointing_phases,
    vector_database,
    kv_cache,
    kv_cache_ranks,
    kv_cache_results,
    own_completeness,
    own_figures,
)
"""Importing a module adds its rules to `RULES`."""
RULES_PAGE = "docs/rules.md"
"""The page that lists the rules; each has a page in the directory of the same name."""


@dataclass(frozen=True)
class Finding:
    """The verdict of one rule on one part of a tree."""

    rule: str
    """The rule's id."""
    name: str
    subject: str
    """The part: `closed/organization/system/kv_cache/model/run/time`, or less of it."""
    verdict: Verdict
    reasons: tuple[str, ...]
    source: str
    demand: str

    @property
    def described_in(self) -> str:
        """The page of the documentation on the rule, such as docs/rules/2.1.12.md."""
        return f"{RULES_PAGE.removesuffix('.md')}/{self.rule}.md"


def validate(tree: Tree) -> list[Finding]:
    """Return the findings of all rules: on the tree, then on each part, down to each leaf."""
    found = _judge(RULES.tree, [tree])
    for organization in tree.organizations:
        found += _judge(RULES.organization, [organization])
        for system in organization.systems:
            found += _judge(RULES.system, [system])
            for workload in system.workloads:
                found += _judge(RULES.workload, [workload])
                for leaf in workload.leaves:
                    found += _judge(RULES.leaf, [leaf])
                    leaf.forget_rank_files()
    return found


def worst(findings: Iterable[Finding]) -> Verdict:
    """Return violated if any rule is, else ok: warnings and unknowns fail no tree."""
    is_violated = any(finding.verdict is Verdict.VIOLATED for finding in findings)
    return Verdict.VIOLATED if is_violated else Verdict.OK


def _judge(rules: Sequence[Rule[Part]], parts: Sequence[Part]) -> list[Finding]:
    found = []
    for part in parts:
        for rule in rules:
            if not _concerns(rule, part):
                continue
            outcome = _division_outcome(rule, part) or rule.check(part)
            found.append(
                Finding(
                    rule.id,
                    rule.name,
                    str(part),
                    outcome.verdict,
                    outcome.reasons,
                    rule.source,
                    rule.demand,
                )
            )
    return found


def _concerns(rule: Rule[Part], part: Part) -> bool:
    """Return whether a rule is on parts of this benchmark type and command."""
    if rule.types:
        types = {leaf.benchmark_type for leaf in _leaves(part)}
        if not types & set(rule.types):
            return False
    return not (rule.commands and isinstance(part, Leaf) and part.command not in rule.commands)


def _division_outcome(rule: Rule[Part], part: Part) -> Outcome | None:
    """Return that a rule of another division is not applicable."""
    if not rule.divisions or isinstance(part, Tree) or part.division in rule.divisions:
        return None
    return Outcome(
        Verdict.NOT_APPLICABLE, (f"a rule of {' and '.join(rule.divisions)}, not {part.division}",)
    )


def _leaves(part: Tree | Organization | System | Workload | Leaf) -> Sequence[Leaf]:
    if isinstance(part, Leaf):
        return [part]
    if isinstance(part, Organization):
        return [leaf for system in part.systems for leaf in system.leaves]
    return part.leaves
