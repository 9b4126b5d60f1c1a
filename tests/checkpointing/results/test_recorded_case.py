"""Standing of recorded cases: every reason for which figures cannot stand beside MLPerf's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mlpstorage_bench.benchmark_type.interface import Standing
from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.checkpointing.config.parameters import Kind
from mlpstorage_bench.checkpointing.results.rank_checkpoint import RankCheckpoint
from mlpstorage_bench.checkpointing.results.recorded_case import standing
from mlpstorage_bench.measure.counters import Traffic
from tests.checkpointing.results.records import case_of, rank_checkpoint

RANKS = 8
Change = dict[str, Any]
MLPERF: Change = {
    "num_checkpoints_write": 10,
    "num_checkpoints_read": 10,
    "time_between_checkpoints": 5.0,
    "scale": 1.0,
}


def ten(kind: Kind, **changes: object) -> list[list[RankCheckpoint]]:
    return [
        [rank_checkpoint(rank, kind, number, **changes) for rank in range(RANKS)]  # type: ignore[arg-type]  # of tests
        for number in range(1, 11)
    ]


def case(kind: Kind, **changes: object) -> CaseRecord:
    good: Change = {"handover_s": 2.0, "cached_pages": 0} if kind == "read" else {}
    return case_of(kind, ten(kind, **{**good, **changes}), **MLPERF)


def judged(*cases: CaseRecord, **parameters: object) -> Standing:
    return standing(cases, parameters, RANKS)


def test_ten_durable_writes_and_ten_reads_stand_beside_mlperf() -> None:
    assert judged(case("write"), case("read")) == Standing()


@pytest.mark.parametrize("kind", ["write", "read"])
def test_a_phase_by_itself_stands_too(kind: Kind) -> None:
    assert judged(case(kind), phase=kind) == Standing()


def test_a_phase_that_did_not_run_is_an_objection() -> None:
    assert judged(case("write")).objections == ("read: it did not run",)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: case("read", handover_s=31.0), "31 s after the last write; the rules allow 30 s"),
        (lambda: case("read", cached_pages=5), "before the first read: 40 pages left"),
        (lambda: case("read", cached_pages=None), "before the first read: not known"),
        (lambda: case("read", corrupt_files=1), "80 files had other data"),
        (
            lambda: case("read", process_traffic=Traffic(0, 0)),
            "audit: served from page cache",
        ),
        (lambda: case_of("read", ten("read", cached_pages=0)[:9], 10, **MLPERF), "1 of 10"),
        (
            lambda: case_of("read", [ranks[:7] for ranks in ten("read", cached_pages=0)], **MLPERF),
            "10 results of ranks are missing",
        ),
        (
            lambda: case_of("read", ten("read", cached_pages=0), **{**MLPERF, "scale": 0.5}),
            "differs from MLPerf's checkpointing: scale",
        ),
    ],
)
def test_each_doubt_is_an_objection(make: Callable[[], CaseRecord], reason: str) -> None:
    found = judged(make(), phase="read").objections
    assert len(found) == 1
    assert reason in found[0]


def reads_after_drops(*left: int | None) -> CaseRecord:
    """Return ten reads whose first ones began after a drop that has left so many pages."""
    reads = ten("read", handover_s=2.0)
    for pages, of_ranks in zip(left, reads, strict=False):
        of_ranks[:] = [replace(one, cached_pages=pages) for one in of_ranks]
    return case_of("read", reads, **MLPERF)


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        ((0, None, 0), ""),
        ((5, None, 0), "before the first read: 40 pages left"),
        ((0, None, 5), "before read 3: 40 pages left"),
    ],
)
def test_every_drop_of_pages_has_to_succeed(left: tuple[int | None, ...], reason: str) -> None:
    """Also the one after a resumption, and before a checkpoint is read again."""
    found = judged(reads_after_drops(*left), phase="read").objections
    assert len(found) == bool(reason)
    assert reason in "".join(found)


def test_data_beyond_three_times_memory_needs_no_dropped_caches() -> None:
    kept = case("read", cached_pages=None, data_to_memory=3.5)
    assert judged(kept, phase="read") == Standing()


def test_another_number_of_ranks_differs() -> None:
    (found,) = standing([case("write")], {"phase": "write"}, 9).objections[:1]
    assert "ranks (9, not 8)" in found


def test_an_audit_without_counters_is_unproven() -> None:
    unproven = judged(case("write", process_traffic=None), phase="write")
    assert unproven.objections == ()
    assert "audit: not measurable" in unproven.unproven[0]
