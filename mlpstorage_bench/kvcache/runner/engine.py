"""Engine that runs the trials of cases on all ranks, in each rank's directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.errors import CapacityError
from mlpstorage_bench.kvcache.cache.tier import Tier
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.slo import Objective
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.case_result import KVCacheResult
from mlpstorage_bench.kvcache.results.pooling import pool_case, pool_samples, pool_trial
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.results.reference_rank import rank_result
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.results.trial_result import TrialResult
from mlpstorage_bench.kvcache.runner.calibration import Calibration, choose_threads
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.kvcache.runner.rank_storage import RankStorage
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.kvcache.sizing import SHOWS_SIZES, not_fitting
from mlpstorage_bench.kvcache.trace_files import trace_output, trace_path
from mlpstorage_bench.kvcache.trace_input import SOURCE
from mlpstorage_bench.mpi.ranks import Ranks, TrialRanks
from mlpstorage_bench.paths import InputFile, check_outputs
from mlpstorage_bench.storage.page_cache_probe import PageCacheStates
from mlpstorage_bench.trial.engine import TrialEngine, placed
from mlpstorage_bench.trial.outcome import TrialOutcome
from mlpstorage_bench.trial.pooling import pool_on_root
from mlpstorage_bench.trial.series_recorder import pool_series

T = TypeVar("T")


Outcome = TrialOutcome[TrialResult, PooledHistograms]


class Engine(TrialEngine):
    """Runs trials in this rank's cache directory. A context manager."""

    def __init__(
        self,
        ranks: TrialRanks,
        site: RankSite,
        workloads: Mapping[str, Workload] = MappingProxyType({}),
        seed: int = 0,
    ) -> None:
        super().__init__(ranks, site)
        self._workloads = workloads
        """Those of the plan, by name."""
        self._seed = seed
        """The plan's."""
        self._storage = RankStorage(site, self._directory.path, [*workloads.values()])
        self._calibrations: dict[str, Calibration] = {}
        """Calibrations by workload, as JSON."""
        self._left: Tier | None = None
        """Storage with the last trial's entries."""

    def _modes(self) -> RankStorage:
        return self._storage

    @property
    def page_cache(self) -> PageCacheStates:
        """States of the page cache under this rank's directory; measured on the first rank."""
        return self._storage.page_cache

    @property
    def is_buffered(self) -> bool:
        """Whether a workload of the plan moves its files through the page cache."""
        return self._storage.is_buffered

    def _release(self) -> int:
        """Remove the entries that the last trial left on storage, and return their bytes."""
        left, self._left = self._left, None
        if left is None:
            return 0
        size = left.resident_bytes
        left.close()
        return size

    def _keep(self, storage: Tier) -> None:
        """Keep a trial's entries on storage until the next trial begins."""
        self._left = storage

    def check_cases(self, cases: Sequence[str]) -> None:
        """Raise CapacityError or InvalidInputError with the plan's cases that cannot run here."""
        problems = []
        for name in cases:
            workload = self._workloads[name]
            part = RankWorkload.for_rank(workload, self._seed, self._ranks.rank, self._ranks.size)
            self._storage.io_mode(part.workload)
            self._storage.capacity_bytes(part.workload)
            problems += [f"workload {name}: {problem}" for problem in self._storage.problems(part)]
        if problems:
            raise CapacityError(f"{'. '.join(problems)}. {SHOWS_SIZES}")

    def run_trial(
        self, workload: Workload, seed: int, trial: int, trace_parts: Mapping[str, str]
    ) -> Outcome:
        """Run a trial on all ranks, after the entries of the one before were removed.

        `trace_parts` distinguish the name of its trace from those of other cases and trials.
        """
        started_at = self._log.start_of(trial)
        part = RankWorkload.for_rank(workload, seed, self._ranks.rank, self._ranks.size)
        own = part.workload
        with placed(self._place), self._log.record("cache_emptied", trial) as step:
            step.removed_bytes = self._release()
        context = TrialContext(
            rank=self._ranks.rank,
            host=self._site.host,
            directory=self._directory.path,
            io_mode=self._storage.io_mode(own),
            best_queue=self._storage.best_queue(own),
            uses_workers=self._storage.uses_workers,
            alignment_bytes=self._storage.alignment_bytes(own),
            storage_capacity_bytes=self._storage.capacity_bytes(own),
            seed=part.seed,
            first_user=part.first_user,
            counters=self._counters,
        )
        with placed(self._place):
            trace = self._trace(workload, trace_parts)
            key = own.model_dump_json()
            if key not in self._calibrations:
                problems = self._storage.problems(part)
                if problems:
                    raise not_fitting(problems)
                self.watch.begin("calibration", None)
                self._calibrations[key] = choose_threads(
                    own, context, self._ranks, self._site.processors
                )
            calibration = self._calibrations[key]
            with self._log.record("trial", trial):
                mine = run_trial(
                    own,
                    replace(context, io_threads=calibration.io_threads),
                    self._ranks,
                    trace=trace,
                    keep=self._keep,
                    watch=self.watch,
                )
        failure = None if mine.failure is None else mine.failure.with_place(self._place)
        mine = replace(
            mine,
            ceiling=calibration.ceiling,
            failure=failure,
            seed=part.seed,
            started_at=started_at,
        )
        pooled, samples = pool_ranks(self._ranks, trial, mine)
        series = pool_series(self._ranks, mine.series)
        steps = self._log.unreported()
        results = self._ranks.gather(rank_result(workload, trial, mine, steps))
        return TrialOutcome(pooled, samples, results, series)

    def _trace(self, workload: Workload, parts: Mapping[str, str]) -> Path | None:
        if workload.trace_out is None:
            return None
        rank = {"rank": str(self._ranks.rank)} if self._ranks.size > 1 else {}
        path = trace_path(Path(workload.trace_out), {**parts, **rank})
        inputs = [] if workload.trace_in is None else [InputFile(SOURCE, Path(workload.trace_in))]
        check_outputs([trace_output(path)], inputs)  # a test may have set either
        return path

    def pool_case(
        self,
        workload: str,
        trials: list[TrialResult],
        samples: list[PooledHistograms],
        objectives: Sequence[Objective] = (),
    ) -> KVCacheResult:
        """Return a case's result on every rank; `samples` has those of each trial on rank 0."""
        pooled = self._ranks.bcast(pool_samples(PooledHistograms.total(samples), objectives))
        return pool_case(workload, trials, pooled)


def pool_ranks(
    ranks: Ranks, trial: int, mine: RankTrial
) -> tuple[TrialResult, PooledHistograms | None]:
    """Return the result of all ranks on every rank, and their samples on rank 0.

    An error of pooling on rank 0 is raised on every rank.
    """
    samples = ranks.merge(PooledHistograms.of([mine]), PooledHistograms.merge)
    result = pool_on_root(ranks, mine.totals(), lambda totals: pool_trial(trial, totals, samples))
    return result, samples
