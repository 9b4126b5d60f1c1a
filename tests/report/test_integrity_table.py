"""Table of checks of hosts, and the lines on a closed run."""

from __future__ import annotations

from mlpstorage_bench.report.integrity_table import because, checks_table, headline
from mlpstorage_bench.report.results_table import as_lines
from mlpstorage_bench.results.metadata_parts import IntegrityCheck
from mlpstorage_bench.results.verification import Verification


def check(number: int, verdict: str = "ok") -> IntegrityCheck:
    return IntegrityCheck(check="flush", host=f"h{number}", verdict=verdict, seen=f"state {number}")


def rows(*checks: IntegrityCheck) -> list[list[str]]:
    lines = as_lines(checks_table(checks), 120)
    return [line.split(maxsplit=1) for line in lines[2:]]


def test_hosts_with_one_verdict_share_a_row_with_the_state_of_the_first() -> None:
    found = rows(check(1), check(2, "finding"), check(3))
    assert [" ".join(row[1].split()) for row in found] == [
        "h1, h3 ok state 1",
        "h2 finding state 2",
    ]


def test_many_hosts_are_counted() -> None:
    ((_, row),) = rows(*map(check, range(10)))
    assert "h7 and 2 more" in " ".join(row.split())


def test_headline_has_the_word_the_unmeasured_and_every_reason() -> None:
    invalid = Verification("INVALID", ("h1: flush", "workload 1: it did not run"))
    assert headline(invalid, ["workload 2: audit: not measurable: why"]) == [
        "closed mode: INVALID, for 2 reasons",
        "closed mode: not confirmed: workload 2: audit: not measurable: why",
        "INVALID because h1: flush",
        "INVALID because workload 1: it did not run",
    ]
    assert headline(Verification("CLOSED"), []) == ["closed mode: CLOSED"]
    assert headline(Verification(None), []) == ["closed mode: not verified"]
    assert because(Verification("CLOSED")) == []
