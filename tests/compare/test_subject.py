"""Comparisons: conditions that differ, rows of figures, letters of runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlpstorage_bench.compare.subject import (
    Comparison,
    Figure,
    Program,
    Subject,
    by_case,
    span,
)


def subject(definition: str = "window", value: float = 1.0, **conditions: str) -> Subject:
    figure = Figure("read_gib_s", "read GiB/s", 0, 2, definition, value)
    return Subject("given", Program.OURS, "identity", conditions, {"1": [figure]})


def test_condition_that_differs_names_each_value_with_its_runs() -> None:
    compared = Comparison([subject(flush="none"), subject(flush="each"), subject(flush="none")])
    assert [str(one) for one in compared.unlike] == ["unlike: flush: none (A, C); each (B)"]
    assert compared.alike == {}


def test_condition_that_one_run_lacks_is_unlike() -> None:
    compared = Comparison([subject(audit="ok"), subject()])
    assert [str(one) for one in compared.unlike] == ["unlike: audit: ok (A); not recorded (B)"]


def test_equal_conditions_are_alike() -> None:
    compared = Comparison([subject(window="300 s"), subject(window="300 s")])
    assert compared.unlike == []
    assert compared.alike == {"window": "300 s"}


@pytest.mark.parametrize("definition", ["window", "and later"])
def test_row_is_unlike_if_definitions_differ(definition: str) -> None:
    (row,) = Comparison([subject("window"), subject(definition, 2.0)]).rows
    assert (row.values, row.is_unlike) == ((1.0, 2.0), definition != "window")


def test_run_without_a_case_has_no_value_and_no_definition() -> None:
    without = Subject("given", Program.TABLE, "identity", {}, {})
    (row,) = Comparison([subject(), without]).rows
    assert (row.values, row.is_unlike) == ((1.0, None), False)


def of_cases(*cases: str) -> Subject:
    """Return a run of cases, in the order in which they ran."""
    figure = Figure("read_gib_s", "read GiB/s", 0, 2, "window", 1.0)
    trials = by_case({case: f"{case}-trials" for case in cases})
    return replace(subject(trials=trials), cases={case: [figure] for case in cases})


def test_cases_have_one_order_whichever_ran_first_in_three_runs() -> None:
    runs = [
        of_cases("3", "rag", "1"),
        of_cases("10", "1", "prefill-16", "2"),
        of_cases("prefill-4", "2", "rag"),
    ]
    expected = ["1", "2", "3", "10", "prefill-4", "prefill-16", "rag"]
    for turn in range(3):
        compared = Comparison([*runs[turn:], *runs[:turn]])
        assert [row.case for row in compared.rows] == expected


def test_order_of_cases_makes_no_runs_unlike() -> None:
    compared = Comparison(
        [of_cases("1", "2", "3"), of_cases("3", "1", "2"), of_cases("2", "3", "1")]
    )
    assert compared.unlike == []


def test_letters_go_on_after_z() -> None:
    letters = Comparison([subject()] * 28).letters
    assert (letters[0], letters[25:]) == ("A", ["Z", "AA", "AB"])


def test_value_of_all_cases_is_named_once() -> None:
    assert by_case({"1": "300 s", "2": "300 s"}) == "300 s"
    assert by_case({"1": "300 s", "2": "60 s"}) == "case 1: 300 s, case 2: 60 s"
    assert by_case({}) == "not recorded"


def test_span_is_one_number_where_both_ends_show_alike() -> None:
    assert (span([1.01, 1.02]), span([1.0, 2.0])) == ("1.0", "1.0 to 2.0")


def test_fingerprints_count_where_all_runs_have_them() -> None:
    ours, other = (
        replace(subject(), fingerprints={"workload fingerprint": one}) for one in ("1f", "2f")
    )
    assert [one.condition for one in Comparison([ours, other]).unlike] == ["workload fingerprint"]
    assert Comparison([ours, subject()]).unlike == []


def test_conditions_are_those_of_the_cases_that_all_runs_have() -> None:
    of_cases = {"window": {"1": "2 s", "rag": "9 s"}}
    figure = Figure("read_gib_s", "read GiB/s", 0, 2, "window", 1.0)
    one = replace(subject(window="2 s"), of_cases={"window": {"1": "2 s"}})
    more = replace(
        subject(window="case 1: 2 s, case rag: 9 s"),
        cases={"1": [figure], "rag": [figure]},
        of_cases=of_cases,
    )
    compared = Comparison([one, more])
    assert [str(found) for found in compared.unlike] == ["unlike: cases: 1 (A); 1, rag (B)"]
    assert compared.alike == {"window": "2 s"}
