"""The exit status of a run for the reference's readers: whether everything was measured.

The session's own status, which a gate or an objective may change, is in `mlpstorage`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.results.record import RunRecord

_TESTS_FAILED = 1
"""pytest's exit status when it ran all tests and some failed."""


def exit_status_of(record: RunRecord, cases: Sequence[CaseRecord]) -> int | None:
    """Return 0 if the run measured all that it began; None while it is running.

    Otherwise the session's status. A test that fails after its case was measured, by an objective
    or an assertion on the result, leaves nothing unmeasured.
    """
    if record.exit_status is None or record.exit_status == 0 or record.tests_passed:
        return None if record.exit_status is None else 0
    failed = {test.test for test in record.tests if test.outcome == "failed"}
    measured = {case.test for case in cases if _is_measured(case)}
    is_complete = record.exit_status == _TESTS_FAILED and bool(failed) and failed <= measured
    return 0 if is_complete else record.exit_status


def _is_measured(case: CaseRecord) -> bool:
    is_whole = case.metrics is not None and len(case.trials) >= case.planned_trials
    return is_whole and case.failed_trial is None
