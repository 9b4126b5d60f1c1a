from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.mpi.agreement import (
    RankCollection,
    RankOutcome,
    agree_outcome,
    collection_differences,
    describe_causes,
    name_ranks,
    order_as,
)

PASSED = RankOutcome(0, "a", "passed")
SKIPPED = RankOutcome(1, "a", "skipped", "no device")
FAILED = RankOutcome(2, "b", "failed", "traceback", "OSError: broken")
SECONDARY = RankOutcome(3, "b", "failed", "peer left", "RanksDivergedError", secondary=True)


def test_own_failure_overrides_skips_and_secondary_failures() -> None:
    agreed = agree_outcome([PASSED, SKIPPED, FAILED, SECONDARY])
    assert (agreed.outcome, agreed.causes) == ("failed", (FAILED,))


def test_skip_overrides_secondary_failures() -> None:
    agreed = agree_outcome([PASSED, SKIPPED, SECONDARY])
    assert (agreed.outcome, agreed.causes) == ("skipped", (SKIPPED,))


def test_secondary_failure_without_cause_is_a_failure() -> None:
    assert agree_outcome([PASSED, SECONDARY]).outcome == "failed"


@given(st.permutations([PASSED, SKIPPED, FAILED, SECONDARY]))
def test_agreed_outcome_is_independent_of_rank_order(outcomes: list[RankOutcome]) -> None:
    assert agree_outcome(outcomes).outcome == "failed"


def test_equal_failures_are_reported_once_with_all_ranks() -> None:
    other = RankOutcome(5, "c", "failed", "traceback", "OSError: broken")
    text = describe_causes([FAILED, other])
    assert text == "ranks 2, 5 on b, c: OSError: broken\n\ntraceback"
    assert name_ranks([FAILED]) == "rank 2 on b"


def test_equal_collections_have_no_differences() -> None:
    assert collection_differences([RankCollection(r, "a", ("t1",)) for r in range(3)]) == ""


def test_errors_common_to_all_ranks_are_no_difference() -> None:
    both = [RankCollection(r, "a", ("t1",), ("t2: ImportError",)) for r in range(2)]
    assert collection_differences(both) == ""


def test_another_order_is_no_difference_and_can_be_made_the_same() -> None:
    here, there = ("t1", "t2", "t1", "t3"), ("t3", "t1", "t1", "t2")
    assert not collection_differences([RankCollection(0, "a", here), RankCollection(1, "b", there)])
    order = order_as(here, there)
    assert [there[position] for position in order] == [*here]
    assert sorted(order) == [0, 1, 2, 3]


def test_another_number_of_equal_tests_is_a_difference() -> None:
    collections = [RankCollection(0, "a", ("t1", "t1")), RankCollection(1, "b", ("t1",))]
    text = collection_differences(collections)
    assert "rank 1 on b:\n  the same tests, another number of times" in text


def test_different_file_of_the_same_name_is_a_difference() -> None:
    files = (("test_a.py", "1a"), ("test_b.py", "2b"))
    others = (("test_a.py", "1a"), ("test_b.py", "3c"))
    text = collection_differences(
        [
            RankCollection(0, "a", ("t1",), files=files),
            RankCollection(1, "a", ("t1",), files=files),
            RankCollection(2, "b", ("t1",), files=others),
        ]
    )
    assert text.splitlines()[1:] == [
        "rank 2 on b:",
        "  another file there: test_b.py (3c; on rank 0 2b)",
    ]


def test_many_differing_files_are_named_up_to_a_limit() -> None:
    here, there = ([(f"test_{n}.py", side) for n in range(30)] for side in ("here", "there"))
    text = collection_differences(
        [
            RankCollection(0, "a", ("t1",), files=tuple(here)),
            RankCollection(1, "b", ("t1",), files=tuple(there)),
        ]
    )
    assert text.count("another file there") == 10
    assert text.endswith("  in all 30 files differ")
