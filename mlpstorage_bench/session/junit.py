"""Figures and verdicts in junit XML: properties of tests; a test case for each verdict."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.result import NOT_COMPARED, GateResult
from mlpstorage_bench.metric.declaration import AnyMetric, Shown
from mlpstorage_bench.session.pytest_internals.junit import add_junit_case, add_junit_property

_SUITE = "mlpstorage.gate"
_HAS_PASSED = (Verdict.PASSED, Verdict.IMPROVED)


def figures_as_properties(
    cases: Sequence[CaseRecord], metrics: Sequence[AnyMetric]
) -> list[tuple[str, object]]:
    """Return the figures of cases that reports show, as properties of the test that ran them.

    They are those of the planned trials: a test's part of the file is complete before the gate can
    add more.
    """
    return [
        (f"mlpstorage.{case.case}.{metric.name}", value)
        for case in cases
        for metric in metrics
        if metric.shown >= Shown.REPORT
        and (value := (case.metrics or {}).get(metric.name)) is not None
    ]


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
    for rule in result.unused_rules:
        _add(config, (rule.text,), str(rule), fails=result.fails_by_rules, is_judged=False)


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
