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
