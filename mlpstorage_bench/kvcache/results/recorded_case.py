"""A case as its recorded results show it: ranks that used storage or are missing, and objections.

Objections are the reasons for which its figures cannot stand beside MLPerf's. The run's summary
and its verification take them from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.interface import Standing
from mlpstorage_bench.benchmark_type.records import NO_PAUSES, CaseRecord, Json, Pauses
from mlpstorage_bench.kvcache.config import mlperf
from mlpstorage_bench.kvcache.results.recorded_rank import RecordedRank, recorded_rank
from mlpstorage_bench.metric.values import numbers_of
from mlpstorage_bench.paths import check_path_component
from mlpstorage_bench.trial.recorded_audit import worst_audit

_VERSION_WITHOUT_PAUSES = 1
"""Version of fingerprints that do not say whether there were pauses."""


@dataclass(frozen=True)
class RecordedCase:
    """A case and the results of its ranks."""

    case: CaseRecord
    trials: Sequence[Sequence[RecordedRank]]
    """Results of the ranks in each trial."""
    total_ranks: int

    @classmethod
    def of(cls, case: CaseRecord, total_ranks: int) -> RecordedCase:
        """Return a case with the results of its ranks; InvalidInputError if one is unusable."""
        trials = [
            [
                recorded_rank(f"trial {trial.trial} of case {case.case}", rank)
                for rank in trial.ranks
            ]
            for trial in case.trials
        ]
        return cls(case, trials, total_ranks)

    @property
    def on_storage(self) -> list[list[RecordedRank]]:
        """Results of the ranks in each trial that moved bytes from or to storage."""
        return [[rank for rank in trial if rank.used_storage] for trial in self.trials]

    @property
    def is_simulated(self) -> bool:
        """Whether the ranks ran without storage, so that nothing was measured."""
        return any(rank.mlpstorage.is_simulated for trial in self.trials for rank in trial)

    @property
    def trial_count(self) -> int:
        """Number of trials that were planned, or that ran if there are more."""
        return max(self.case.planned_trials, len(self.trials))

    @property
    def missing(self) -> list[tuple[int, int]]:
        """Trial and rank of each planned result that is not there."""
        return [
            (trial, rank)
            for trial in range(1, self.trial_count + 1)
            for rank in range(self.total_ranks)
            if trial > len(self.trials) or rank not in {r.rank for r in self.trials[trial - 1]}
        ]

    def objections(self) -> Iterator[str]:
        """Yield the reasons for which the figures cannot stand beside MLPerf's, in words."""
        case = self.case
        parts = case.workload_fingerprint_parts or {}
        seed = parts.get("seed")
        differing = mlperf.differences(
            case.case,
            case.parameters,
            trials=case.planned_trials,
            seed=seed if isinstance(seed, int) else None,
            pauses=_pauses(parts),
        )
        if differing:
            yield mlperf.DIFFERS.format(", ".join(differing))
        missing = self.missing
        if missing:
            yield f"{len(missing)} results of ranks are missing"
        if not any(self.on_storage):
            yield "no rank moved anything from or to storage"
        audit = worst_audit(case)
        if audit.is_of_cache:
            yield str(audit)
        corrupt = sum(numbers_of(trial.metrics).get("corrupt_reads", 0) for trial in case.trials)
        if corrupt:
            yield f"{corrupt:.0f} reads found other data than was written"

    def unproven(self) -> Iterator[str]:
        """Yield the verdicts of the audit that are neither ok nor an objection, with reasons."""
        audit = worst_audit(self.case)
        if not (audit.is_ok or audit.is_of_cache):
            yield str(audit)


def options_of(cases: Sequence[CaseRecord]) -> list[CaseRecord]:
    """Return the cases that are options of the reference, in the order of their numbers."""
    return sorted((case for case in cases if case.option), key=lambda case: case.option or 0)


def directory_of_rank(case: CaseRecord, trial: int, rank: int) -> str:
    """Return the directory of a rank's result below the run's; `trial` is from 1.

    Directories count trials from 0, as the reference's do. Its readers look at options alone, so
    that other cases have another name.
    """
    name = check_path_component("case", case.case)
    folder = f"case_{name}" if case.option is None else f"option_{case.option}"
    return f"{folder}/trial_{trial - 1}/rank_{rank}"


def path_of_rank(case: CaseRecord, result: RecordedRank, timestamp: str) -> str:
    """Return the path of a rank's result below the run's directory.

    The file is named by the trial's start on the rank; by the run's in earlier versions.
    """
    started = result.mlpstorage.started or timestamp
    folder = directory_of_rank(case, result.trial, result.rank)
    return f"{folder}/kvcache_results_{started}.json"


def _pauses(parts: Json) -> Pauses | None:
    """Return the pauses in the parts of a fingerprint; None where they are not known."""
    given = parts.get("pauses")
    if isinstance(given, Mapping):
        return Pauses(**given)
    return None if parts.get("version") in (None, _VERSION_WITHOUT_PAUSES) else NO_PAUSES


def standing(cases: Sequence[CaseRecord], parameters: Json, total_ranks: int) -> Standing:
    """Return whether the cases of a run can stand beside MLPerf's; `parameters` are the run's."""
    recorded = [RecordedCase.of(case, total_ranks) for case in cases]
    options = parameters.get("options")
    planned = options if isinstance(options, Mapping) else {}
    absent = [name for name in planned if name not in {case.case for case in cases}]
    return Standing(
        (
            *(f"workload {name}: it did not run" for name in absent),
            *(f"workload {r.case.case}: {one}" for r in recorded for one in r.objections()),
        ),
        tuple(f"workload {r.case.case}: {one}" for r in recorded for one in r.unproven()),
    )
