"""Sentences on what the results of checkpoints say about the storage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlpstorage_bench.measure.ceiling import HARNESS
from mlpstorage_bench.metric.values import Values, number_of
from mlpstorage_bench.trial.host_limit import host_limit
from mlpstorage_bench.units import GIB_PER_S, SECONDS

_CACHED = ("served from page cache", "in memory")
_DONE = {"write": "written", "read": "read"}
_UNEVEN = 0.3
"""Share of the slowest rank's time by which others are faster, from which a note names it."""


def conclusions(cases: Mapping[str, Values]) -> list[str]:
    """Return a sentence on each case; first those that are not the storage's."""
    doubtful = {n: one for n, one in cases.items() if one.get("audit_verdict") in _CACHED}
    return [
        *(
            f"Do not take the figures of {name} for those of the storage: this host's memory "
            "served a part of them."
            for name in doubtful
        ),
        *(
            sentence
            for name, one in cases.items()
            if name not in doubtful
            for sentence in _of_case(name, one)
        ),
    ]


def notes_on(values: Values) -> list[str]:
    """Return notes on the metrics of a case."""
    spread = number_of(values.get("rank_spread"))
    if spread is None or spread < _UNEVEN:
        return []
    slowest = f"rank {values.get('slowest_rank')} on {values.get('slowest_host')}"
    return [f"all ranks wait for {slowest}: the fastest one took {spread:.0%} less time"]


def notes_on_reads(reads: int, again: int) -> list[str]:
    """Return a note if some reads were of a checkpoint that had been read before."""
    if not again:
        return []
    count = f"{again} of {reads} reads were of a checkpoint that had been read before"
    return [f"{count}: the storage's own caches may have it, unless call_out empties them"]


def _of_case(name: str, one: Values) -> Iterator[str]:
    of_case = "" if name in _DONE else f" of {name}"
    for kind, done in _DONE.items():
        bandwidth = number_of(one.get(f"{kind}_gib_s"))
        if bandwidth is None:
            continue
        seconds, longest = (number_of(one.get(n)) for n in ("checkpoint_s", "checkpoint_s_max"))
        yield (
            f"A checkpoint{of_case} was {done} in {SECONDS.text(seconds)} s "
            f"({SECONDS.text(longest)} s at most), at {GIB_PER_S.text(bandwidth)} GiB/s"
            f"{_standstill(one)}."
        )
        if one.get("limited_by") == HARNESS:
            yield host_limit([one], f"when checkpoints{of_case} were {done}")


def _standstill(one: Values) -> str:
    """Return for how long training stands still; '' of reads."""
    standstill, copied = (number_of(one.get(n)) for n in ("standstill_s", "snapshot_s"))
    if standstill is None:
        return ""
    copy = (
        ""
        if copied is None
        else f", with the copy to memory before that, of {SECONDS.text(copied)} s (snapshot_s)"
    )
    return f"; training stands still for {SECONDS.text(standstill)} s (standstill_s){copy}"
