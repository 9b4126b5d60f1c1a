"""Cases and tests of a session: names of cases, repeated tests, the worst phase of a test."""

from __future__ import annotations

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.benchmark_type.records import NO_PAUSES, CaseRecord
from mlpstorage_bench.session.case_log import CaseLog


@pytest.fixture
def log() -> CaseLog:
    """The log of a rank other than 0, which keeps no trials."""
    return CaseLog(registry.load(registry.DEFAULT), 42, 2, NO_PAUSES, None)


def case(name: str, option: int | None = None) -> CaseRecord:
    return CaseRecord("kv_cache", name, 3, {}, option=option)


def test_cases_of_one_name_get_names_of_their_tests(log: CaseLog) -> None:
    for test in ("a.py::test_one", "b.py::test_two", "c.py::test_two"):
        log.open_case(case("1", option=1), test)
    assert [one.case for one in log.cases] == ["1", "1-test_two", "1-test_two-2"]
    assert [one.option for one in log.cases] == [1, None, None]
    assert [one.order for one in log.cases] == [0, 1, 2]


def test_repeated_test_replaces_its_case_and_leaves_a_note(log: CaseLog) -> None:
    first = log.open_case(case("1"), "a.py::test_one").record
    log.add_statistics("a.py::test_one", object())
    log.note_outcome("a.py::test_one", "failed", 1.0, "AssertionError: slow\nmore")
    note = log.begin_attempt("a.py::test_one")
    assert note == (
        "a.py::test_one ran again, and its last attempt counts; the one before failed: "
        "AssertionError: slow"
    )
    assert (log.cases, log.outcomes, log.statistics) == ([], [], [])
    again = log.open_case(case("1"), "a.py::test_one").record
    assert (again.case, again.order, log.cases_opened) == ("1", 1, 2)
    assert not log.has_case(first.test, first.order)
    assert log.has_case(again.test, again.order)


def test_worst_phase_decides_and_durations_add_up(log: CaseLog) -> None:
    log.note_outcome("a.py::test_one", "passed", 1.0, "")
    log.note_outcome("a.py::test_one", "failed", 2.0, "call")
    log.note_outcome("a.py::test_one", "skipped", 4.0, "teardown")
    (outcome,) = log.outcomes
    assert (outcome.outcome, outcome.duration_s, outcome.message) == ("failed", 7.0, "call")


def test_untimed_cases_are_those_of_tests_without_statistics(log: CaseLog) -> None:
    for test in ("a.py::test_one", "a.py::test_two"):
        log.open_case(case(test.rpartition("_")[2]), test)
    assert [one.case for one in log.untimed_cases(["a.py::test_two"])] == ["one"]
