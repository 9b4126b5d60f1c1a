"""A training as its recorded results show it: missing ranks, and objections to its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlpstorage_bench.benchmark_type.interface import Standing
from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.measure.audit import Verdict
from mlpstorage_bench.metric.values import number_of, numbers_of
from mlpstorage_bench.training.config import mlperf
from mlpstorage_bench.training.results.recorded_rank import is_warm_up
from mlpstorage_bench.training.workload.models import MODELS
from mlpstorage_bench.trial.recorded_audit import worst_audit

_PERCENT = 100.0
_AS_ASKED: Verdict = "through page cache"


def missing(case: CaseRecord, total_ranks: int) -> list[tuple[int, int]]:
    """Return trial and rank of each planned result that is not there."""
    count = max(case.planned_trials, len(case.trials))
    found = {(trial.trial, number) for trial in case.trials for number in range(len(trial.ranks))}
    return [
        (trial, rank)
        for trial in range(1, count + 1)
        for rank in range(total_ranks)
        if (trial, rank) not in found
    ]


def objections_to(case: CaseRecord, total_ranks: int) -> Iterator[str]:
    """Yield the reasons for which the figures cannot stand beside MLPerf's, in words."""
    parts = case.workload_fingerprint_parts or {}
    seed = parts.get("seed")
    differing = mlperf.differences(case.parameters, seed if isinstance(seed, int) else None)
    if differing:
        yield mlperf.DIFFERS.format(", ".join(differing))
    absent = missing(case, total_ranks)
    if absent:
        yield f"{len(absent)} results of ranks are missing"
    model = MODELS.get(str(case.parameters.get("model")))
    utilization = number_of((case.metrics or {}).get("au_percentage"))
    if not is_warm_up(case) and model is not None and utilization is not None:
        least = _PERCENT * model.least_au
        if utilization < least:
            yield f"accelerator utilization is {utilization:.2f} %, and at least {least:g} % needed"
    corrupt = sum(numbers_of(trial.metrics).get("corrupt_reads", 0) for trial in case.trials)
    if corrupt:
        yield f"{corrupt:.0f} reads found other data than was generated"


def unproven(case: CaseRecord) -> Iterator[str]:
    """Yield the verdicts of the audit that confirm nothing, with reasons.

    A training may read through the page cache, as the reference's does: that is no objection.
    """
    audit = worst_audit(case)
    if not audit.is_ok and audit.verdict != _AS_ASKED:
        yield str(audit)


def standing(cases: Sequence[CaseRecord], parameters: Json, total_ranks: int) -> Standing:
    """Return whether figures of a run with these parameters can stand beside MLPerf's."""
    if parameters.get("generates") is True:
        return Standing()
    objections = [one for case in cases for one in objections_to(case, total_ranks)]
    repeated = mlperf.differing_repetitions(
        parameters.get("trials"), parameters.get("warm_up_trials")
    )
    if repeated:
        objections.append(mlperf.DIFFERS.format(", ".join(repeated)))
    if not cases:
        objections.append("no training has run")
    doubts = [one for case in cases for one in unproven(case)]
    return Standing(tuple(dict.fromkeys(objections)), tuple(dict.fromkeys(doubts)))
