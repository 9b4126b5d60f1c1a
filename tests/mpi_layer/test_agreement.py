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
)

PASSED = RankOutcome(0, "a", "passed")
SKIPPED = RankOutcome(1, "a", "skipped", "no device")
FAILED = RankOutcome(2, "b", "failed", "traceback", "OSError: gone")
LEFT_ALONE = RankOutcome(3, "b", "failed", "peer gone", "RanksDivergedError", secondary=True)


def test_a_ranks_own_failure_decides_over_skips_and_ranks_left_alone() -> None:
    agreed = agree_outcome([PASSED, SKIPPED, FAILED, LEFT_ALONE])
    assert (agreed.outcome, agreed.causes) == ("failed", (FAILED,))


def test_a_skip_decides_over_ranks_left_alone() -> None:
    agreed = agree_outcome([PASSED, SKIPPED, LEFT_ALONE])
    assert (agreed.outcome, agreed.causes) == ("skipped", (SKIPPED,))


def test_a_rank_left_alone_without_a_cause_is_a_failure() -> None:
    assert agree_outcome([PASSED, LEFT_ALONE]).outcome == "failed"


@given(st.permutations([PASSED, SKIPPED, FAILED, LEFT_ALONE]))
def test_the_order_of_ranks_does_not_matter(outcomes: list[RankOutcome]) -> None:
    assert agree_outcome(outcomes).outcome == "failed"


def test_equal_failures_are_told_once_with_all_their_ranks() -> None:
    other = RankOutcome(5, "c", "failed", "traceback", "OSError: gone")
    text = describe_causes([FAILED, other])
    assert text == "ranks 2, 5 on b, c: OSError: gone\n\ntraceback"
    assert name_ranks([FAILED]) == "rank 2 on b"


def test_equal_collections_do_not_differ() -> None:
    assert collection_differences([RankCollection(r, "a", ("t1",)) for r in range(3)]) == ""


def test_errors_that_all_ranks_have_are_no_difference() -> None:
    both = [RankCollection(r, "a", ("t1",), ("t2: ImportError",)) for r in range(2)]
    assert collection_differences(both) == ""


def test_another_order_is_a_difference() -> None:
    text = collection_differences(
        [RankCollection(0, "a", ("t1", "t2")), RankCollection(1, "b", ("t2", "t1"))]
    )
    assert "rank 1 on b:\n  the same tests in another order" in text


def test_another_file_of_the_same_name_is_a_difference() -> None:
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


def test_of_many_files_that_differ_some_are_named() -> None:
    here, there = ([(f"test_{n}.py", side) for n in range(30)] for side in ("here", "there"))
    text = collection_differences(
        [
            RankCollection(0, "a", ("t1",), files=tuple(here)),
            RankCollection(1, "b", ("t1",), files=tuple(there)),
        ]
    )
    assert text.count("another file there") == 10
    assert text.endswith("  in all 30 files differ")
