"""Standing of recorded cases: whether they can stand beside MLPerf's, and why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlpstorage_bench.benchmark_type.interface import Standing
from mlpstorage_bench.benchmark_type.records import CaseRecord, Json, TrialRecord
from mlpstorage_bench.checkpointing.config import mlperf
from mlpstorage_bench.checkpointing.config.parameters import KINDS, Kind
from mlpstorage_bench.metric.values import number_of, numbers_of
from mlpstorage_bench.trial.recorded_audit import worst_audit

_DROPPED = "dropped"


def standing(cases: Sequence[CaseRecord], parameters: Json, total_ranks: int) -> Standing:
    """Return whether the cases of a run can stand beside MLPerf's; `parameters` are the plan's."""
    own = cases[0].parameters if cases else {}
    phase = str(parameters.get("phase") or own.get("phase") or "both")
    wanted = KINDS if phase == "both" else (phase,)
    found = {kind_of(case) for case in cases}
    return Standing(
        (
            *(f"{kind}: it did not run" for kind in wanted if kind not in found),
            *(f"{case.case}: {one}" for case in cases for one in _objections(case, total_ranks)),
        ),
        tuple(f"{case.case}: {one}" for case in cases for one in _unproven(case)),
    )


def kind_of(case: CaseRecord) -> Kind | None:
    """Return whether a case's checkpoints were written or read; None without any."""
    for trial in case.trials:
        return "read" if trial.metrics.get("read_gib_s") is not None else "write"
    return None


def _objections(case: CaseRecord, total_ranks: int) -> Iterator[str]:
    """Yield the reasons for which the figures cannot stand beside MLPerf's, in words."""
    differing = mlperf.differences(case.parameters, total_ranks)
    if differing:
        yield f"differs from MLPerf's checkpointing: {', '.join(differing)}"
    missing = case.planned_trials - len(case.trials)
    if missing > 0:
        yield f"{missing} of {case.planned_trials} checkpoints are missing"
    lacking = sum(total_ranks - len(trial.ranks) for trial in case.trials)
    if lacking:
        yield f"{lacking} results of ranks are missing"
    audit = worst_audit(case)
    if audit.is_of_cache:
        yield str(audit)
    corrupt = sum(numbers_of(trial.metrics).get("corrupt_reads", 0) for trial in case.trials)
    if corrupt:
        yield f"{corrupt:.0f} files had other data than was written"
    if kind_of(case) == "read":
        yield from _objections_to_handover(case.trials)


def _objections_to_handover(reads: Sequence[TrialRecord]) -> Iterator[str]:
    first = reads[0]
    seconds = number_of(first.metrics.get("handover_s"))
    if seconds is not None and seconds > mlperf.HANDOVER_S:
        yield (
            f"the first read began {seconds:.0f} s after the last write; the rules allow "
            f"{mlperf.HANDOVER_S:.0f} s"
        )
    ratio = number_of(first.metrics.get("data_to_memory"))
    cached = _not_dropped(reads)
    if cached and (ratio is None or ratio <= mlperf.MEMORY_FACTOR):
        yield (
            f"the page cache before {cached}, and no more than "
            f"{mlperf.MEMORY_FACTOR} x the hosts' memory was written"
        )


def _not_dropped(reads: Sequence[TrialRecord]) -> str:
    """Return the first read before which pages were not dropped, and why; '' without one.

    They are dropped before the first one, after a resumption, and before a checkpoint is read
    again; others have nothing to say.
    """
    for number, read in enumerate(reads, start=1):
        caches = str(read.metrics.get("caches") or "")
        if number == 1 and caches != _DROPPED:
            return f"the first read: {caches or 'not known'}"
        if caches not in {"", _DROPPED}:
            return f"read {number}: {caches}"
    return ""


def _unproven(case: CaseRecord) -> Iterator[str]:
    """Yield the verdicts of the audit that are neither ok nor an objection, with reasons."""
    audit = worst_audit(case)
    if not (audit.is_ok or audit.is_of_cache):
        yield str(audit)
