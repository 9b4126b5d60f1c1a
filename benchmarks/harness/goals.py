"""The goals of the harness beside fio, and what the studies measured for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Case = Mapping[str, Any]
"""Figures of one case of a study."""
Cases = dict[str, list[Case]]
"""Cases by study."""

Applies = Callable[[Case], bool]
"""Whether a goal applies to a case."""

LARGE = ("1MiB", "4MiB")
ONE, MANY = ("1 x 1",), ("1 x 4", "4 x 1", "1 x 16", "16 x 1")
READS, WRITES = ("read",), ("write", "mix")
MEMORIES = {"fio's default memory": "", "fio in huge pages": "huge_"}
PARITY, TMPFS, OPERATIONS = "test_parity", "test_tmpfs_parity", "test_operation_cost"


class Outcome(NamedTuple):
    """A row of the table of goals."""

    goal: str
    limit: str
    """'' for what is only stated."""
    measured: str
    case: str
    """The worst case, or the range of those that are only stated."""
    verdict: str
    """`met`, `missed`, `stated` or `not measured`."""


@dataclass(frozen=True)
class Goal:
    """A limit on a figure, in every case of a study that it applies to."""

    title: str
    study: str
    names: tuple[str, ...]
    """Names of the figures; the worst of them counts."""
    at_least: float | None = None
    at_most: float | None = None
    """Without either, the figures are only stated."""
    of: Applies = lambda _: True
    form: str = "{:.2f}"

    def outcome(self, cases: Cases) -> Outcome:
        """Return the worst figure, and whether it is within the limit."""
        found = [
            (case[name], self._label(case, name))
            for case in cases.get(self.study, [])
            if self.of(case)
            for name in self.names
        ]
        known = sorted((entry for entry in found if entry[0] is not None), key=lambda one: one[0])
        if not known or len(known) < len(found):
            missing = f"{len(found) - len(known)} of {len(found)} cases lack it" if found else ""
            return Outcome(self.title, self._limit, "", missing, "not measured")
        (least, of_least), (most, of_most) = known[0], known[-1]
        if self.at_least is not None:
            return self._judged(least, of_least, is_met=least >= self.at_least)
        if self.at_most is not None:
            return self._judged(most, of_most, is_met=most <= self.at_most)
        measured = f"{self.form.format(least)} to {self.form.format(most)}"
        return Outcome(self.title, "", measured, f"{of_least} to {of_most}", "stated")

    def _judged(self, value: float, case: str, *, is_met: bool) -> Outcome:
        verdict = "met" if is_met else "missed"
        return Outcome(self.title, self._limit, self.form.format(value), case, verdict)

    @property
    def _limit(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.form.format(self.at_least)}"
        return "" if self.at_most is None else f"≤ {self.form.format(self.at_most)}"

    def _label(self, case: Case, name: str) -> str:
        parts = [case[key] for key in ("pattern", "kind", "block", "shape") if key in case]
        return " ".join([*parts, *([name] if len(self.names) > 1 else [])])


def outcomes(cases: Cases, before: Cases) -> list[Outcome]:
    """Return what was measured for each goal; `before` is of an earlier checkout."""
    faster = {OPERATIONS: list(_beside(cases.get(OPERATIONS, []), before.get(OPERATIONS, [])))}
    return [goal.outcome(cases | faster) for goal in _goals()]


def _goals() -> Iterator[Goal]:
    for memory, prefix in MEMORIES.items():
        yield from _bandwidth_goals(memory, f"{prefix}bandwidth_ratio")
    for memory, prefix in MEMORIES.items():
        yield from _cpu_goals(memory, prefix, 2.0 if prefix else 1.0)
    for memory, prefix in MEMORIES.items():
        yield from _other_goals(memory, prefix)
    late = ("own_late_share", "verified_own_late_share")
    for block, most in (("1MiB", 0.05), ("64KiB", None)):
        is_many = _where(block=(block,), shape=("16 x 1",))
        title = f"late share of 16 lanes at {block}"
        yield Goal(title, PARITY, late, at_most=most, of=is_many, form="{:.1%}")
    yield Goal("operations/s, null store, 16 lanes, ÷ those before", OPERATIONS, ("speed",), 3.0)
    beside = ("beside_buffers_mib",)
    for study in ("test_resident_memory", "test_resident_memory_of_large_entries"):
        yield Goal(f"MiB beside buffers, {study}", study, beside, at_most=92, form="{:.0f}")


def _bandwidth_goals(memory: str, name: str) -> Iterator[Goal]:
    def goal(what: str, of: Applies, at_least: float | None = None, run: str = "") -> Goal:
        return Goal(f"bandwidth {what}, {memory}", PARITY, (run + name,), at_least, of=of)

    yield goal("from 1 MiB, 4 and more in flight", _where(block=LARGE, shape=MANY), 0.95)
    one = _where(block=LARGE, shape=ONE)
    yield goal("from 1 MiB, one in flight, rested buffers", one)
    yield goal("from 1 MiB, one in flight, hot buffers", one, run="hot_")
    reads = _where(block=("64KiB",), shape=MANY, pattern=READS)
    yield goal("of reads of 64 KiB, 4 and more in flight", reads, 0.95)
    writes = _where(block=("64KiB",), shape=MANY, pattern=WRITES)
    what = "of writes and mixes of 64 KiB, 4 and more in flight"
    yield goal(f"{what}, one IoThread", lambda case: writes(case) and case["io_threads"] == 1, 0.75)
    yield goal(f"{what}, several", lambda case: writes(case) and case["io_threads"] > 1, 0.95)
    yield goal("at 16 KiB", _where(block=("16KiB",)))


def _cpu_goals(memory: str, prefix: str, most: float) -> Iterator[Goal]:
    def goal(what: str, patterns: tuple[str, ...], run: str = "") -> Goal:
        of = _where(block=LARGE, pattern=patterns)
        name = f"{run}{prefix}cpu_ratio"
        return Goal(f"CPU/GiB {what}, {memory}", PARITY, (name,), at_most=most, of=of)

    yield goal("of reads from 1 MiB", READS)
    yield goal("of writes and mixes from 1 MiB, content taken off", WRITES, run="bare_")
    title = f"CPU/GiB, all checked by both, {memory}"
    yield Goal(title, "test_checked_parity", (f"{prefix}cpu_ratio",), at_most=0.2)


def _other_goals(memory: str, prefix: str) -> Iterator[Goal]:
    bandwidth, bound = (f"{prefix}bandwidth_ratio",), (f"{prefix}bound_ratio",)
    yield Goal(f"bandwidth of MLPerf's option 1, {memory}", "test_option_1", bandwidth, 0.95)
    reads, writes = _where(pattern=READS), _where(pattern=WRITES)
    yield Goal(f"reads on tmpfs, {memory}", TMPFS, bandwidth, 0.9, of=reads)
    yield Goal(
        f"writes on tmpfs, ÷ the bound that content sets, {memory}", TMPFS, bound, 0.9, of=writes
    )


def _where(**accepted: tuple[str, ...]) -> Applies:
    """Return whether a case has one of the values of each key."""
    return lambda case: all(case[key] in values for key, values in accepted.items())


def _beside(now: list[Case], before: list[Case]) -> Iterator[Case]:
    """Add to each case how many times as many operations 16 lanes make in the same time."""
    earlier = {(case["kind"], case["block"]): case["many_lanes_us"] for case in before}
    for case in now:
        median = earlier.get((case["kind"], case["block"]))
        yield {**case, "speed": None if median is None else median[1] / case["many_lanes_us"][1]}
