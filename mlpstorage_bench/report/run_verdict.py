"""The outcome of a run in one sentence: passed or failed, and why."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.report.page import Verdict
from mlpstorage_bench.results.metadata_parts import OutcomeFacts
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.units import counted

_LONGEST_REASON = 300
_INVALID = "INVALID"
_PASSED_GATE = {"passed": "the gate found no loss", "improved": "the gate found no loss"}


def run_verdict(metadata: RunMetadata) -> Verdict:
    """Return a run's outcome: the gravest fact first."""
    own = metadata.own
    failed = [test for test in own.tests if test.outcome == "failed"]
    if failed:
        return Verdict("bad", "Failed", _of_tests(failed, len(own.tests)))
    if metadata.verification == _INVALID or own.not_valid_because:
        return Verdict("bad", "Invalid as a closed run", _first(own.not_valid_because))
    if own.gate.verdict is not None and own.status == "failed":
        return Verdict("bad", "Failed", _of_gate(metadata))
    if own.status == "passed":
        return Verdict("good", "Passed", _of_passed(metadata))
    if own.status == "failed":
        return Verdict("bad", "Failed", "the session ended with an error outside the tests.")
    words = {
        "interrupted": "the run was stopped before its end.",
        "running": "the run has not ended, or was killed.",
    }
    word = own.status.capitalize() if own.status != "-" else "Outcome not recorded"
    return Verdict("unsure", word, words.get(own.status, "the metadata has no outcome."))


def _of_tests(failed: Sequence[OutcomeFacts], total: int) -> str:
    first = failed[0]
    why = first.message.strip().partition("\n")[0].removeprefix("AssertionError: ")
    more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
    reason = f": {_cut(why)}" if why else "."
    return f"{len(failed)} of {counted(total, 'test')} failed: {first.test}{more}{reason}"


def _of_gate(metadata: RunMetadata) -> str:
    gate = metadata.own.gate
    found = [
        f"{one.case} {one.metric} {one.change or one.reason}".strip()
        for one in metadata.own.verdicts
        if one.verdict == gate.verdict
    ]
    found += [f"{one.rule} judges nothing: {one.reason}" for one in gate.unused_rules]
    named = "; ".join(found[:3])
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""  # noqa: PLR2004 - three are named
    return f"the gate's verdict is {gate.verdict}: {_cut(named)}{more}"


def _of_passed(metadata: RunMetadata) -> str:
    tests = metadata.own.tests
    skipped = sum(1 for test in tests if test.outcome == "skipped")
    count = len(tests) - skipped
    ran = (
        f"{'all ' * (count > 1)}{counted(count, 'test')} passed" if tests else "the session passed"
    )
    left = f", {skipped} skipped" if skipped else ""
    gate = metadata.own.gate.verdict
    judged = "" if gate is None else f"; {_PASSED_GATE.get(gate, f'the gate: {gate}')}"
    return f"{ran}{left}{judged}."


def _first(reasons: Sequence[str]) -> str:
    if not reasons:
        return "the reasons are not recorded."
    more = f" (and {len(reasons) - 1} more reasons)" if len(reasons) > 1 else ""
    return f"{_cut(reasons[0])}{more}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"
