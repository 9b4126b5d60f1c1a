"""Engine for benchmark types whose lanes write and read files of the rank's own directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.errors import CapacityError
from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.metric.table import MetricTable
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.page_cache_probe import PageCacheStates
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import QueueOpener
from mlpstorage_bench.trial.engine import TrialEngine, placed
from mlpstorage_bench.trial.lane_load import LaneLoad, ceiling_of
from mlpstorage_bench.trial.lane_results import (
    LaneRanks,
    LaneResult,
    LaneSamples,
    LaneTrial,
    lane_rank_json,
    restored_lane_trial,
    stored_lane_trial,
)
from mlpstorage_bench.trial.lane_window import LaneContext, measure_lanes
from mlpstorage_bench.trial.outcome import StoredTrial, TrialOutcome
from mlpstorage_bench.trial.pooling import pool_on_root
from mlpstorage_bench.trial.rank_window import RankWindow
from mlpstorage_bench.trial.series_recorder import pool_series
from mlpstorage_bench.trial.storage_modes import StorageModes

LaneOutcome = TrialOutcome[LaneTrial, LaneSamples]


class LaneEngine(TrialEngine):
    """Runs the work of lanes on all ranks, and pools what they measure. A context manager."""

    def __init__(
        self,
        ranks: TrialRanks,
        site: RankSite,
        seed: int,
        table: MetricTable,
        stored_bytes: int,
    ) -> None:
        """`stored_bytes` are those that each rank stores at once in a case of the plan."""
        super().__init__(ranks, site)
        self._stored_bytes = stored_bytes
        self._payload = Payload(seed + ranks.rank)
        self._table = table
        self._storage = StorageModes(site, self._directory.path, {None}, {"fdatasync"})
        self._store: EntryFiles | None = None
        self._left: dict[str, int] = {}
        """Sizes of the last trial's files, by name."""
        self._calibrated: tuple[LaneLoad, Ceiling | None] | None = None
        """The last load, with this rank's ceiling for it."""

    def _modes(self) -> StorageModes:
        return self._storage

    @property
    def rank(self) -> int:
        """Number of this rank."""
        return self._ranks.rank

    @property
    def page_cache(self) -> PageCacheStates:
        """States of the page cache under this rank's directory; measured on the first rank."""
        return self._storage.page_cache

    @property
    def is_buffered(self) -> bool:
        """Whether files move through the page cache."""
        return self._storage.is_buffered

    def check_cases(self, cases: Sequence[str]) -> None:
        """Raise CapacityError if the files of a trial do not fit."""
        free = self._storage.free_bytes() if cases else None
        if free is not None and self._stored_bytes > free:
            raise CapacityError(
                f"{self._place} needs {self._stored_bytes} bytes in {self._site.cache_dir}, and "
                f"its share of the free space is {free} bytes"
            )

    def _release(self) -> int:
        left, self._left = self._left, {}
        for name in left:
            assert self._store is not None, "a trial has written the files"
            self._store.delete(name)
        return sum(left.values())

    def run_trial(self, load: LaneLoad, trial: int) -> LaneOutcome:
        """Run a trial on all ranks, after the files of the one before were removed."""
        started_at = self._log.start_of(trial)
        with placed(self._place), self._log.record("cache_emptied", trial) as step:
            step.removed_bytes = self._release()
        with placed(self._place):
            ceiling = self._ceiling(load)
        with placed(self._place), self._log.record("trial", trial):
            mine = self._measure(load)
        failure = None if mine.failure is None else mine.failure.with_place(self._place)
        mine = replace(mine, failure=failure, started_at=started_at, ceiling=ceiling)
        own = LaneSamples().merge(LaneSamples(mine.operations))
        samples = self._ranks.merge(own, LaneSamples.merge)

        def pool(ranks: list[RankWindow]) -> LaneTrial:
            assert samples is not None, "rank 0 has both"
            return LaneTrial.of(trial, LaneRanks(ranks, samples), self._table.metrics())

        pooled = pool_on_root(self._ranks, mine.totals(), pool)
        series = pool_series(self._ranks, mine.series)
        steps = self._log.unreported()
        results = self._ranks.gather(lane_rank_json(mine, trial, load.parameters, steps))
        return TrialOutcome(pooled, samples, results, series)

    def _ceiling(self, load: LaneLoad) -> Ceiling | None:
        """Return this rank's ceiling for a load, measured before its first trial."""
        known = self._calibrated
        if known is None or known[0] is not load:
            self.watch.begin("calibration", None)
            found = ceiling_of(load, self._storage, self._payload, self._ranks)
            known = self._calibrated = (load, found)
        return known[1]

    def _measure(self, load: LaneLoad) -> RankWindow:
        mode = self._storage.mode(None)
        io = FileIo(
            mode,
            "fdatasync",
            writes_back_chunks=BlockDevice.under(self._directory.path) is not None,
            reserves=mode == "direct",
        )
        self._store = EntryFiles(self._directory.path, io)
        context = LaneContext(
            rank=self._ranks.rank,
            host=self._site.host,
            io_mode=mode,
            store=self._store,
            queues=QueueOpener(self._storage.queue(mode), uses_workers=self._storage.uses_workers),
            counters=self._counters,
            payload=self._payload,
            alignment_bytes=self._storage.alignment(None, load.chunk_kib),
        )
        return measure_lanes(context, load.shape, load.work, self._ranks, self.watch, self._left)

    def pool_case(
        self, case: str, trials: Sequence[LaneTrial], samples: Sequence[LaneSamples]
    ) -> LaneResult:
        """Return a case's result on every rank; `samples` has those of each trial on rank 0."""
        total = self._ranks.bcast(LaneSamples.total(samples))
        return LaneResult.of(case, trials, total, self._table.metrics())


@dataclass(frozen=True)
class LaneTrials:
    """Trials of a load on an engine, and their form on disk."""

    engine: LaneEngine
    load: LaneLoad
    noun: str = "case"
    """Word for the case in messages."""
    warmup_s: float = 0.0
    window_s: float = 0.0
    """Planned seconds; 0 where the work decides."""

    def run(self, number: int) -> LaneOutcome:
        """Run a trial, from 1, on all ranks."""
        return self.engine.run_trial(self.load, number)

    def run_unrecorded(self, number: int) -> LaneTrial:
        """Run a trial whose figures are not kept."""
        return self.engine.run_trial(self.load, number).result

    def stored(self, trial: StoredTrial[LaneTrial, LaneSamples]) -> Json:
        """Return a finished trial as JSON."""
        return stored_lane_trial(trial)

    def restored(self, content: Json) -> StoredTrial[LaneTrial, LaneSamples]:
        """Return the trial that `stored` has stored; ValueError for other JSON."""
        return restored_lane_trial(content)
