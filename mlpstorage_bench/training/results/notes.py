"""Notes on the metrics of a training, in sentences."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from mlpstorage_bench.metric.values import Values, number_of, numbers_in

_NOTEWORTHY_LATE = 0.02
"""Share of the steps' time by which computations ended late from which a note is made."""
_NOTEWORTHY_CACHED = 0.01
_DOUBTFUL = ("in memory", "foreign traffic")
"""Verdicts of an audit that are noted."""


def notes_on(trials: Sequence[Values], least_au: float, direct: str = "") -> Iterator[str]:
    """Yield the notes on a training's trials.

    `direct` has the settings with which reads go around the page cache, if they can.
    """
    utilization = _mean(trials, "au_percentage")
    if utilization is not None and utilization < least_au:
        yield (
            f"accelerators computed {utilization:.1f} % of the time; the rules demand "
            f"{least_au:g} % of this model"
        )
    late = _mean(trials, "late_share")
    if late is not None and late > _NOTEWORTHY_LATE:
        yield (
            f"computations ended late by {late:.0%} of the time, as this host's processors were "
            "busy: the utilization is too low by as much. Use fewer ranks on a host, or more hosts"
        )
    cached = _mean(trials, "page_cache_share")
    if cached is not None and cached > _NOTEWORTHY_CACHED:
        yield (
            f"{cached:.0%} of the bytes came from the page cache, and say nothing about the "
            f"storage: for its figures, use {f'{direct}, or ' if direct else ''}data of several "
            "times the hosts' memory"
        )
    for trial, values in enumerate(trials, 1):
        for one in values["stragglers"] if isinstance(values["stragglers"], list) else ():
            yield f"trial {trial}: {one}"
    if not any(number_of(values["verified_reads"]) for values in trials):
        yield "no content was checked: wrong data would not have been noticed"
    yield from _audits(trials)


def _audits(trials: Sequence[Values]) -> Iterator[str]:
    for name, title in (("audit", "audit"), ("host_audit", "audit of the host")):
        found = [values for values in trials if values[f"{name}_verdict"] in _DOUBTFUL]
        if found:
            count = "" if len(trials) == 1 else f" in {len(found)} of {len(trials)} trials"
            verdict, reason = found[0][f"{name}_verdict"], found[0][f"{name}_reason"]
            yield f"{title}: {verdict}{count}: {reason}"


def _mean(trials: Sequence[Values], name: str) -> float | None:
    known = numbers_in(trials, name)
    return statistics.fmean(known) if known else None
