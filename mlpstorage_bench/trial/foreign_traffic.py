"""Sentence on cases whose figures other programs' use of the storage may have lowered."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.units import counted

_FOREIGN = "foreign traffic"
_CACHED = ("served from page cache", "in memory")
"""Verdicts of cases whose figures are not the storage's at all."""
_MOST = 0.5
"""Share of a case's trials that were disturbed from which the case is named."""


def foreign_traffic(cases: Sequence[CaseRecord], noun: str) -> list[str]:
    """Return a sentence that names the cases that were disturbed, with what a case is called.

    A case is named if the audits of hosts found other traffic in most of its trials, unless all of
    that was of the ranks' own processes, such as read-ahead.
    """
    named = [
        case.case
        for case in cases
        if (case.metrics or {}).get("audit_verdict") not in _CACHED
        and _is_disturbed([trial.metrics for trial in case.trials])
    ]
    if not named:
        return []
    *most, last = named
    names = f"{', '.join(most)} and {last}" if most else last
    kind = counted(len(named), noun).partition(" ")[2]
    return [
        f"Other programs used the storage during {kind} {names}: run again while nothing else does."
    ]


def _is_disturbed(trials: Sequence[Json]) -> bool:
    disturbed = sum(
        one.get("host_audit_verdict") == _FOREIGN and one.get("foreign_gib_s") != 0
        for one in trials
    )
    return disturbed > 0 and disturbed >= _MOST * len(trials)
