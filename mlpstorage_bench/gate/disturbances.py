"""Disturbances: what else than the storage may have made a run worse, and how much of a loss.

A condition of a trial disturbs only if it is unusual: worse than the median of the earlier runs of
the case. Traffic that is always there, such as a filesystem's journal, disturbs nothing.

Other programs, stragglers and a throttled processor are *interference*: it takes a share of what
the storage could have done, and may cost `INTERFERENCE_FACTOR` times that share. A larger loss is
the storage's, and is judged. Shares are of the bandwidth of earlier runs. If they were of this
run's own, a constant traffic would have a larger share beside a storage that got slower, and would
hide that.

A *changed limit* is told apart by its direction. If the storage limits a run where the load or the
host limited before, the storage got slower. If the load or the host limits it where the storage
limited before, a loss is not the storage's: the host explains all of it. The load explains a loss
of rates only, because a storage that waits for requests has no reason for longer latencies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from mlpstorage_bench.measure.ceiling import HARNESS, LOAD
from mlpstorage_bench.measure.conditions import TrialConditions

INTERFERENCE_FACTOR = 3.0
"""Largest loss that interference is taken to explain, in multiples of the share that it takes.

Requests of other programs cost a device more than their bytes: they are smaller, or elsewhere.
"""
LEAST_SHARE = 0.04
"""Smallest unusual share that disturbs a trial: it may cost 12 %, and 10 % matter by default."""
LEAST_SHARE_ALONE = 1.0
"""The same without an earlier run: other programs moved more than the run itself."""
_USUAL_PART = 0.25
"""Part of the earlier runs from which on a limit is usual."""

Trials = Sequence[TrialConditions]


@dataclass(frozen=True)
class UsualConditions:
    """Conditions of earlier runs of a case: the median of each over the runs' medians."""

    moved_gib_s: float
    others_gib_s: float = 0.0
    missing_share: float = 0.0
    denied_share: float = 0.0
    limits: frozenset[str] = frozenset()
    """Limits of at least a quarter of them."""


@dataclass(frozen=True)
class Interference:
    """Interference with one trial."""

    kind: Literal["others", "stragglers", "denied"]
    share: float
    """Share of the usual bandwidth that it took."""
    trial: TrialConditions


@dataclass(frozen=True)
class CaseDisturbance:
    """Everything unusual about the trials of a case."""

    trials: tuple[int, ...] = ()
    """Trials with interference, by number from 1."""
    causes: tuple[str, ...] = ()
    """Causes, as clauses, without repetition."""
    share: float = 0.0
    """Share that interference took: the median over all trials."""
    limit: str = ""
    """Unusual limit of most trials: `harness` or `load`; '' if there is none."""

    def explains(self, loss: float, *, is_rate: bool) -> bool:
        """Return whether it may have caused a loss of speed (0 to 1) of a rate or of a latency."""
        if loss <= 0:
            return False
        if self.limit == HARNESS or (self.limit == LOAD and is_rate):
            return True
        return loss <= INTERFERENCE_FACTOR * self.share


def usual_conditions(
    runs: Sequence[Trials], undisturbed: Sequence[Trials] = ()
) -> UsualConditions | None:
    """Return the usual conditions of runs, each with its trials; None without any.

    The usual bandwidth is that of the undisturbed runs, if there are any. Otherwise a neighbour who
    stays for several runs would lower it, and so seem to explain more and more.
    """
    known = [run for run in runs if run]
    if not known:
        return None
    quiet = [run for run in undisturbed if run] or known
    limits = Counter(_limit_of(run) for run in known)
    return UsualConditions(
        median(median(one.moved_gib_s for one in run) for run in quiet),
        median(median(one.others_gib_s or 0.0 for one in run) for run in known),
        median(median(one.missing_share for one in run) for run in known),
        median(median(one.denied_share or 0.0 for one in run) for run in known),
        frozenset(name for name, count in limits.items() if count >= _USUAL_PART * len(known)),
    )


def interference_with(trial: TrialConditions, usual: UsualConditions | None) -> list[Interference]:
    """Return what interfered with a trial, beyond what is usual."""
    least = LEAST_SHARE_ALONE if usual is None else LEAST_SHARE
    before = usual or UsualConditions(trial.moved_gib_s)
    return [one for one in _interference(trial, before) if one.share >= least]


def _interference(trial: TrialConditions, usual: UsualConditions) -> Iterator[Interference]:
    foreign = (trial.others_gib_s or 0.0) - usual.others_gib_s
    if usual.moved_gib_s > 0 and foreign > 0:
        yield Interference("others", foreign / usual.moved_gib_s, trial)
    yield Interference("stragglers", trial.missing_share - usual.missing_share, trial)
    yield Interference("denied", (trial.denied_share or 0.0) - usual.denied_share, trial)


def disturbance_of(
    trials: Sequence[TrialConditions | None], usual: UsualConditions | None
) -> CaseDisturbance:
    """Return what is unusual about the trials of a case; None is a trial of unknown conditions."""
    found = [[] if one is None else interference_with(one, usual) for one in trials]
    known = [one for one in trials if one is not None]
    limit = _limit_of(known) if known else ""
    is_changed = usual is not None and limit in _LIMIT_IN_WORDS and limit not in usual.limits
    return CaseDisturbance(
        tuple(number for number, interference in enumerate(found, 1) if interference),
        (
            *_causes([one for interference in found for one in interference], usual),
            *([_LIMIT_IN_WORDS[limit]] if is_changed else ()),
        ),
        median(sum(one.share for one in interference) for interference in found) if found else 0.0,
        limit if is_changed else "",
    )


def _causes(found: Sequence[Interference], usual: UsualConditions | None) -> Iterator[str]:
    """Yield a clause for each kind of interference, over all trials."""
    others, slow, denied = (
        [one.trial for one in found if one.kind == kind]
        for kind in ("others", "stragglers", "denied")
    )
    if others:
        before = f", usually {usual.others_gib_s:.2g}" if usual and usual.others_gib_s else ""
        places = ", ".join(dict.fromkeys(one.others_on for one in others if one.others_on))
        moved = _range([one.others_gib_s or 0.0 for one in others])
        yield f"other programs moved {moved} GiB/s{' on ' if places else ''}{places}{before}"
    yield from dict.fromkeys(name for one in slow for name in one.stragglers)
    if denied:
        share = _range([100 * (one.denied_share or 0.0) for one in denied])
        yield f"the ranks were denied a processor for {share} % of the time"


def _range(values: Sequence[float]) -> str:
    least, most = f"{min(values):.2g}", f"{max(values):.2g}"
    return least if least == most else f"{least} to {most}"


_LIMIT_IN_WORDS: Mapping[str, str] = {
    HARNESS: "the host limited it, not the storage",
    LOAD: "the load limited it, not the storage",
}


def _limit_of(run: Trials) -> str:
    """Return what limited most trials of a run."""
    return Counter(one.limit for one in run).most_common(1)[0][0]
