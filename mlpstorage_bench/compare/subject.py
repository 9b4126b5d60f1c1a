"""A run as it is compared: what it is, the conditions that shape its figures, and the figures.

Pure: values that were read come in, comparisons go out.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from mlpstorage_bench.compare.workload_facts import WorkloadFacts, differing_facts

NOT_RECORDED = "not recorded"
WORKLOAD = "workload"
_CASES = "cases"
_DIGITS = re.compile(r"(\d+)")


class Program(StrEnum):
    """Programs that make runs."""

    OURS = "mlpstorage_bench"
    REFERENCE = "the reference"
    TABLE = "the reference, as a table was published"


@dataclass(frozen=True)
class Figure:
    """A figure, and how it is defined."""

    name: str
    label: str
    place: int
    """Position in the table, below figures with smaller ones."""
    decimals: int
    definition: str
    """Equal for figures that mean the same."""
    value: float


@dataclass(frozen=True)
class Subject:
    """One run."""

    given: str
    """As the user named it."""
    program: Program
    identity: str
    """Its id, place and outcome, in one line."""
    conditions: Mapping[str, str]
    """Name → value in words, in the order in which they are shown."""
    cases: Mapping[str, Sequence[Figure]]
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """Conditions that only this project records; they are compared if all runs have them."""
    notes: tuple[str, ...] = ()
    """Sentences for readers of its figures."""
    of_cases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Conditions that each case has on its own → value by case."""
    workloads: Mapping[str, WorkloadFacts] = field(default_factory=dict)
    """Facts of each case's workload; none where a fingerprint's facts are not recorded."""


@dataclass(frozen=True)
class Unlike:
    """A condition that differs: each value with the runs that have it."""

    condition: str
    values: tuple[tuple[str, tuple[str, ...]], ...]
    """Value and letters of runs."""

    def __str__(self) -> str:
        parts = (f"{value} ({', '.join(letters)})" for value, letters in self.values)
        return f"unlike: {self.condition}: {'; '.join(parts)}"


@dataclass(frozen=True)
class Row:
    """One figure of one case, a cell for each run."""

    case: str
    label: str
    decimals: int
    values: tuple[float | None, ...]
    is_unlike: bool
    """Whether definitions of the values that are there differ."""


@dataclass(frozen=True)
class Comparison:
    """Runs side by side, each with a letter."""

    subjects: Sequence[Subject]

    @property
    def letters(self) -> list[str]:
        """The letters of the runs, in order."""
        return [_letter(number) for number in range(len(self.subjects))]

    @property
    def unlike(self) -> list[Unlike]:
        """The conditions whose values are not all equal."""
        found = []
        for name in self._conditions():
            by_value: dict[str, list[str]] = {}
            for letter, conditions in zip(self.letters, self._by_run, strict=True):
                value = conditions.get(name, NOT_RECORDED)
                by_value.setdefault(value, []).append(letter)
            if len(by_value) > 1:
                values = tuple((value, tuple(letters)) for value, letters in by_value.items())
                found.append(Unlike(name, values))
        facts = self._unlike_facts({one.condition for one in found})
        is_of_one_program = len({one.program for one in self.subjects}) == 1
        with_facts = {letter for one in facts for _, letters in one.values for letter in letters}
        if is_of_one_program and with_facts == {*self.letters}:
            found = [one for one in found if one.condition != WORKLOAD]  # each fact has a line
        return found + facts

    def _unlike_facts(self, others: Container[str]) -> list[Unlike]:
        """Return the facts of workloads that differ, of each program's runs of a benchmark type."""
        found = []
        for name, values in self._differing_facts.items():
            if name.removeprefix("parameter ") in others:
                continue  # a condition of its own says so
            by_value: dict[str, list[str]] = {}
            for letter, value in values.items():
                by_value.setdefault(value, []).append(letter)
            shown = tuple((value, tuple(letters)) for value, letters in by_value.items())
            found.append(Unlike(name, shown))
        return found

    @cached_property
    def _differing_facts(self) -> dict[str, dict[str, str]]:
        """Each fact of workloads that differs → its value by the letters of runs that have it."""
        by_type: dict[tuple[Program, str], list[int]] = {}
        for number, one in enumerate(self.subjects):
            benchmark_type = one.conditions.get("benchmark type", "")
            by_type.setdefault((one.program, benchmark_type), []).append(number)
        found: dict[str, dict[str, str]] = {}
        for numbers in by_type.values():
            facts = differing_facts([self.subjects[one].workloads for one in numbers])
            for name, values in facts.items():
                of_runs = zip(numbers, values, strict=True)
                texts = {_letter(run): by_case(of_cases) for run, of_cases in of_runs if of_cases}
                found[name] = {**found.get(name, {}), **texts}
        return found

    @property
    def alike(self) -> dict[str, str]:
        """The conditions whose values are equal and recorded."""
        first = self._by_run[0]
        unlike = {one.condition for one in self.unlike}
        if self._differing_facts:
            unlike.add(WORKLOAD)
        known = ((name, first.get(name, NOT_RECORDED)) for name in self._conditions())
        return {name: v for name, v in known if name not in unlike and v != NOT_RECORDED}

    def _conditions(self) -> list[str]:
        return list(dict.fromkeys(name for one in self._by_run for name in one))

    @property
    def _names_of_cases(self) -> list[frozenset[str]]:
        return [frozenset(one.cases) for one in self.subjects]

    @cached_property
    def _by_run(self) -> list[Mapping[str, str]]:
        """The conditions of each run, with fingerprints where all have them.

        Conditions of cases are those of the cases that all runs have: others are compared with
        nothing, and which they are is a condition of its own.
        """
        have_all = all(one.fingerprints for one in self.subjects)
        names = self._names_of_cases
        shared = frozenset.intersection(*names)
        found: list[Mapping[str, str]] = []
        for one in self.subjects:
            conditions = {**one.conditions, **(one.fingerprints if have_all else {})}
            for name in conditions.keys() & one.of_cases.keys() if shared else ():
                of_cases = one.of_cases[name]
                conditions[name] = by_case(
                    {case: of_cases[case] for case in of_cases if case in shared}
                )
            if len(set(names)) > 1:
                conditions[_CASES] = ", ".join(sorted(one.cases, key=case_order)) or NOT_RECORDED
            found.append(conditions)
        return found

    @property
    def rows(self) -> list[Row]:
        """The figures of every case that any run has, in an order that no run decides."""
        cases = {name for subject in self.subjects for name in subject.cases}
        return [row for case in sorted(cases, key=case_order) for row in self._rows_of(case)]

    def _rows_of(self, case: str) -> list[Row]:
        of_runs = [{one.name: one for one in s.cases.get(case, ())} for s in self.subjects]
        first = {name: one for figures in reversed(of_runs) for name, one in figures.items()}
        names = sorted(first, key=lambda name: first[name].place)
        return [
            Row(
                case,
                first[name].label,
                first[name].decimals,
                tuple(one[name].value if name in one else None for one in of_runs),
                len({one[name].definition for one in of_runs if name in one}) > 1,
            )
            for name in names
        ]


def case_order(case: str) -> tuple[Sequence[tuple[int, int, str]], str]:
    """Return a key that sorts cases: numbered workloads first, and 2 before 10 in any name."""
    parts = (part for part in _DIGITS.split(case) if part)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts], case


def by_case(values: Mapping[str, str]) -> str:
    """Return a condition of several cases in words, the same whichever case ran first.

    It is one value where all are equal.
    """
    if not values:
        return NOT_RECORDED
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    ordered = sorted(values, key=case_order)
    return ", ".join(f"case {name}: {values[name]}" for name in ordered)


def span(values: Sequence[float], form: str = ".1f") -> str:
    """Return the least and the greatest of values in words."""
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def _letter(number: int) -> str:
    before, last = divmod(number, 26)
    return (_letter(before - 1) if before else "") + chr(ord("A") + last)
