"""Sentences on cases that this host limited: what to do, and whether processors were short."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.metric.values import Values, number_of
from mlpstorage_bench.units import SHARE

_SCARCE_PROCESSORS = 0.1
"""Share of the lanes' time that waits for a processor from which more ranks do not help."""


def host_limit(cases: Sequence[Values], when: str) -> str:
    """Return what to do about cases that this host limited.

    Where processors were short in all of them, what the storage can do is not known.
    """
    if all(map(has_short_processors, cases)):
        return short_processors(cases, when)
    return (
        f"This host was the limit {when}, and not the storage: use more ranks or hosts, or a "
        "larger io_chunk_kib."
    )


def has_short_processors(case: Values) -> bool:
    """Return whether lanes of a case waited for a processor for much of their time."""
    return (number_of(case.get("processor_wait_share")) or 0.0) >= _SCARCE_PROCESSORS


def short_processors(cases: Sequence[Values], when: str = "") -> str:
    """Return what to do about cases in which processors were short."""
    stored = _shares(cases, "storage_wait_share")
    return (
        f"Processors were short{f' {when}' if when else ''}: lanes waited for one for "
        f"{_shares(cases, 'processor_wait_share')} of their time"
        f"{f', and for the storage for {stored}' if stored else ''}. Whether the storage can do "
        "more is not known: run again while nothing else uses the processors, or use more hosts."
    )


def _shares(cases: Sequence[Values], name: str) -> str:
    """Return the least and the greatest share of cases; '' where none has it."""
    known = [share for one in cases if (share := number_of(one.get(name))) is not None]
    if not known:
        return ""
    low, high = SHARE.text(min(known)), SHARE.text(max(known))
    return low if low == high else f"{low} to {high}"
