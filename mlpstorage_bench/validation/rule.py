"""Rules: id, name, demand and source of each, what it applies to, and the verdict of its check."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.validation.tree import Organization, System, Tree, Workload


class Verdict(StrEnum):
    """The result of a check."""

    OK = "ok"
    VIOLATED = "violated"
    WARNING = "warning"
    UNKNOWN = "cannot tell"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Outcome:
    """A verdict and its reasons: every problem that was found, not only the first."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()


def ok(reason: str) -> Outcome:
    """Return that the demand is met."""
    return Outcome(Verdict.OK, (reason,))


def unknown(*reasons: str) -> Outcome:
    """Return that the files do not say whether the demand is met."""
    return Outcome(Verdict.UNKNOWN, reasons)


def not_applicable(reason: str) -> Outcome:
    """Return that the rule does not concern this part of the tree."""
    return Outcome(Verdict.NOT_APPLICABLE, (reason,))


def violated_if(problems: Iterable[str], otherwise: str) -> Outcome:
    """Return that the demand is violated if there are problems, and met if there are none."""
    found = tuple(problems)
    return Outcome(Verdict.VIOLATED, found) if found else ok(otherwise)


def warning_if(problems: Iterable[str], otherwise: str) -> Outcome:
    """Return a warning if there are problems."""
    found = tuple(problems)
    return Outcome(Verdict.WARNING, found) if found else ok(otherwise)


Part = TypeVar("Part", Tree, Organization, System, Workload, Leaf)


@dataclass(frozen=True)
class Rule(Generic[Part]):
    """One demand on one kind of part of a tree."""

    id: str
    name: str
    """The name in the published rules; a short description for rules of our own."""
    demand: str
    source: str
    """The files from which it is checked."""
    check: Callable[[Part], Outcome]
    types: tuple[str, ...] = ()
    """Benchmark types that it concerns; all without an entry."""
    commands: tuple[str, ...] = ()
    """Commands that it concerns; all without an entry."""
    divisions: tuple[str, ...] = ()
    """Divisions that it concerns; all without an entry."""


class RuleSet:
    """The rules on each kind of part; rule modules add to it when they are imported."""

    def __init__(self) -> None:
        self.tree: list[Rule[Tree]] = []
        self.organization: list[Rule[Organization]] = []
        self.system: list[Rule[System]] = []
        self.workload: list[Rule[Workload]] = []
        self.leaf: list[Rule[Leaf]] = []

    def all(
        self,
    ) -> list[Rule[Tree] | Rule[Organization] | Rule[System] | Rule[Workload] | Rule[Leaf]]:
        """Return every rule."""
        return [*self.tree, *self.organization, *self.system, *self.workload, *self.leaf]


@dataclass(frozen=True)
class Section(Generic[Part]):
    """Rules on one kind of part that concern the same benchmark types and commands."""

    rules: list[Rule[Part]]
    types: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()

    def rule(
        self, rule_id: str, name: str, demand: str, source: str, *, divisions: tuple[str, ...] = ()
    ) -> Callable[[Callable[[Part], Outcome]], Callable[[Part], Outcome]]:
        """Return a decorator that adds a check to the section."""

        def register(check: Callable[[Part], Outcome]) -> Callable[[Part], Outcome]:
            self.rules.append(
                Rule(rule_id, name, demand, source, check, self.types, self.commands, divisions)
            )
            return check

        return register


def of_metadata(check: Callable[[Leaf, Document], Outcome]) -> Callable[[Leaf], Outcome]:
    """Return a check of a leaf that is given its metadata; unknown where that cannot be read."""
    return lambda leaf: _given(leaf, leaf.metadata, check)


def of_summary(check: Callable[[Leaf, Document], Outcome]) -> Callable[[Leaf], Outcome]:
    """Return a check of a leaf that is given its summary, under either name."""
    return lambda leaf: _given(leaf, leaf.any_summary, check)


def of_description(check: Callable[[System, Document], Outcome]) -> Callable[[System], Outcome]:
    """Return a check of a system that is given its description."""
    return lambda system: _given(system, system.description, check)


def _given(
    part: Part, document: Document | Unreadable, check: Callable[[Part, Document], Outcome]
) -> Outcome:
    return unknown(document.cause) if isinstance(document, Unreadable) else check(part, document)
