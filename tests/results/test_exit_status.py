"""The exit status that the reference's readers see: whether everything was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlpstorage_bench.benchmark_type.records import CaseRecord, FailedTrialRecord, TrialRecord
from mlpstorage_bench.results.convert import read_document
from mlpstorage_bench.results.exit_status import exit_status_of
from mlpstorage_bench.results.record import CaseOutcome, RunRecord, parse_record

DOCUMENT = Path(__file__).parents[1] / "golden" / "schema_3" / "pytest_benchmark.json"
TRIALS = (TrialRecord(1, {}, ()), TrialRecord(2, {}, ()))
MEASURED = CaseRecord("kv_cache", "1", 2, {}, TRIALS, metrics={"trials": 2}, test="t::a")
CUT_SHORT = replace(MEASURED, trials=TRIALS[:1], metrics=None)
FAILED_LATE = replace(MEASURED, failed_trial=FailedTrialRecord(3, {}, (), failure="a disk"))


def record(exit_status: int | None, *failed: str, tests_passed: bool = False) -> RunRecord:
    recorded = parse_record(str(DOCUMENT), read_document(DOCUMENT).record)
    tests = [CaseOutcome(test=test, outcome="failed", duration_s=1.0) for test in failed]
    changes = {"exit_status": exit_status, "tests": tests, "tests_passed": tests_passed}
    return recorded.model_copy(update=changes)


@pytest.mark.parametrize(
    ("run", "case", "status"),
    [
        (record(None), MEASURED, None),
        (record(0, tests_passed=True), MEASURED, 0),
        (record(1, tests_passed=True), MEASURED, 0),
        (record(4, tests_passed=True), MEASURED, 0),
        (record(1, "t::a"), MEASURED, 0),
        (record(1, "t::a"), CUT_SHORT, 1),
        (record(1, "t::a"), FAILED_LATE, 1),
        (record(1, "t::a", "t::b"), MEASURED, 1),
        (record(1), MEASURED, 1),
        (record(2), MEASURED, 2),
        (record(86, "t::a"), MEASURED, 86),
    ],
    ids=[
        *("running", "passed", "gate failed", "gate undecided", "objective missed"),
        *("trials missing", "trial failed", "test without a case", "session's end failed"),
        *("interrupted", "aborted"),
    ],
)
def test_status_is_0_if_everything_was_measured(
    run: RunRecord, case: CaseRecord, status: int | None
) -> None:
    assert exit_status_of(run, [case]) == status
