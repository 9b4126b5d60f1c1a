"""The gate's verdicts in junit XML: a test case for each, and properties of the suite."""

from __future__ import annotations

import pytest

from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.result import NOT_COMPARED, GateResult
from mlpstorage_bench.session.pytest_internals import add_junit_case, add_junit_property

_SUITE = "mlpstorage.gate"
_HAS_PASSED = (Verdict.PASSED, Verdict.IMPROVED)


def add_to_junit(config: pytest.Config, result: GateResult) -> None:
    """Add each verdict to the junit XML file, if there is one.

    What fails the session has failed; what was not judged is skipped, with the reason.
    """
    for one in result.verdicts:
        outcome = f"{one.verdict}: {one.reason}"
        is_judged = one.verdict in _HAS_PASSED
        _add(config, (one.case, one.metric), outcome, fails=result.fails(one), is_judged=is_judged)
    for case, reason in result.refusals.items():
        _add(config, (case,), f"{NOT_COMPARED}: {reason}", fails=True, is_judged=False)


def _add(
    config: pytest.Config, names: tuple[str, ...], outcome: str, *, fails: bool, is_judged: bool
) -> None:
    add_junit_property(config, ".".join((_SUITE, *names)), outcome)
    node_id = "::".join((_SUITE, *names))
    location = (_SUITE, None, ".".join(names))
    call = pytest.TestReport(
        node_id, location, {}, "passed", None, "call", duration=0.0, start=0.0, stop=0.0
    )
    if fails:
        call.outcome, call.longrepr = "failed", outcome
    elif not is_judged:
        call.outcome, call.longrepr = "skipped", (_SUITE, 0, f"Skipped: {outcome}")
    teardown = pytest.TestReport(
        node_id, location, {}, "passed", None, "teardown", duration=0.0, start=0.0, stop=0.0
    )
    add_junit_case(config, (call, teardown))
