"""Notes that differ in their case and in numbers alone are one line."""

from __future__ import annotations

from mlpstorage_bench.report.note_lines import grouped


def test_cases_with_the_same_kind_of_note_share_a_line() -> None:
    notes = [
        "profile quick: not comparable to MLPerf",
        "workload 1: bandwidth was not steady in trial 1",
        "workload 2: audit of the host: 60.1% of the traffic",
        "workload rag: bandwidth was not steady in trial 12",
        "workload 3: audit of the host: 9% of the traffic",
        "profile quick: not comparable to MLPerf",
    ]
    assert grouped(notes) == [
        "profile quick: not comparable to MLPerf",
        "workloads 1, rag: bandwidth was not steady in trial 1 (figures of workload 1)",
        "workloads 2, 3: audit of the host: 60.1% of the traffic (figures of workload 2)",
    ]


def test_equal_figures_are_those_of_all_cases() -> None:
    assert grouped(["workload 1: 9% late", "workload 2: 9% late"]) == ["workloads 1, 2: 9% late"]


def test_notes_on_the_run_keep_their_numbers() -> None:
    notes = ["test_a ran again 2 times", "test_a ran again 3 times"]
    assert grouped(notes) == notes


def test_a_case_is_named_once_and_has_the_number_of_its_notes() -> None:
    notes = ["workload 1: trial 1: rank 3 is slow", "workload 1: trial 2: rank 1 is slow"]
    assert grouped(notes) == ["workload 1: trial 1: rank 3 is slow (and 1 more like it)"]
