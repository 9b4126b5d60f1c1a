"""Whether a run counts as one of its division, with the reasons why it does not.

`reasons_against` is the only place that decides it: metadata, summary and terminal show its result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.benchmark_type.interface import Standing
from mlpstorage_bench.results.consecutive_runs import late_start, long_interruption
from mlpstorage_bench.results.metadata_parts import IntegrityCheck, SystemInfo
from mlpstorage_bench.results.record import RunRecord

Word = Literal["CLOSED", "OPEN", "INVALID"]
"""The reference's words."""
CLOSED_MODE = "closed"
DID_NOT_COMPLETE = "the run did not complete"
_NOT_TOGETHER = (
    ": rule 2.1.18 demands gaps that are shorter than a run. Run the whole session again, without "
    "an interruption, and hand in its runs alone"
)


@dataclass(frozen=True)
class Verification:
    """The verdict on a run."""

    word: Word | None
    """None while a closed run is running, and where its hosts were not checked (old records)."""
    not_valid_because: tuple[str, ...] = ()
    """Reasons for which a closed run is INVALID, in words; none in other modes."""


def verification_of(record: RunRecord, standing: Standing) -> Verification:
    """Return the verdict on a run whose figures have this standing."""
    if record.mode != CLOSED_MODE:
        return Verification("OPEN" if record.mode == "open" else None)
    is_running = record.status == "running"
    reasons = reasons_against(record, None if is_running else standing)
    if is_running or not (reasons or integrity_checks(record)):
        return Verification(None, reasons)
    return Verification("INVALID" if reasons else "CLOSED", reasons)


def reasons_against(record: RunRecord, standing: Standing | None = None) -> tuple[str, ...]:
    """Return every reason for which a run's figures cannot stand in the closed division.

    Without a standing, those that are of no case: what was found on its hosts.
    """
    found = [check.text for check in integrity_checks(record) if check.verdict == "finding"]
    filesystems = record.filesystems
    if record.mode == CLOSED_MODE and filesystems is not None and filesystems.objection:
        found.append(filesystems.objection)
    found += _gaps(record)
    return (*found, *(() if standing is None else standing.objections))


def _gaps(record: RunRecord) -> Iterator[str]:
    """Yield the gaps for which a run and the one that it has to follow do not count together."""
    before = record.follows
    if record.mode != CLOSED_MODE or before is None:
        return
    late = late_start(before.timestamp, before.runtime_s, before.paused_s, before.idle_s)
    if late:
        yield f"it began {late}{_NOT_TOGETHER}"
    paused_s = 0.0 if record.resumed is None else record.resumed.paused_s
    interruption = long_interruption(record.runtime_s, paused_s)
    if interruption and record.status != "running":
        yield f"it was {interruption}{_NOT_TOGETHER}"


def unproven(record: RunRecord, standing: Standing) -> Iterator[str]:
    """Yield the properties of a run that could not be measured: no reasons against it."""
    for check in integrity_checks(record):
        if check.verdict == "not measurable":
            yield f"{check.host}: {check.check}: not measurable: {check.seen}"
    yield from standing.unproven


def integrity_checks(record: RunRecord) -> tuple[IntegrityCheck, ...]:
    """Return the checks of the run's hosts; none in records of earlier versions."""
    if record.system_info is None:
        return ()
    return SystemInfo.model_validate(record.system_info).mlpstorage.checks
