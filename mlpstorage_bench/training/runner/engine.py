"""Engine that makes datasets and runs trials on all ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.mpi.ranks import Ranks, TrialRanks
from mlpstorage_bench.storage.files import FileIo, IoMode
from mlpstorage_bench.storage.page_cache_probe import PageCacheStates
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.dataset.place import Contents, DatasetPlace
from mlpstorage_bench.training.datasize import files_of, host_memory_bytes
from mlpstorage_bench.training.formats.chosen import check_library
from mlpstorage_bench.training.results.generated import Generated
from mlpstorage_bench.training.results.pooling import pool_case, pool_samples, pool_trial
from mlpstorage_bench.training.results.rank_result import rank_result
from mlpstorage_bench.training.results.rank_training import RankTraining
from mlpstorage_bench.training.results.samples import TrainingSamples
from mlpstorage_bench.training.results.trial_result import TrainingResult, TrainingTrial
from mlpstorage_bench.training.runner.calibration import calibrate
from mlpstorage_bench.training.runner.context import TrainingContext
from mlpstorage_bench.training.runner.datagen import generate
from mlpstorage_bench.training.runner.torch_loader import data_loader
from mlpstorage_bench.training.runner.torch_trial import run_with_torch
from mlpstorage_bench.training.runner.trial import run_training
from mlpstorage_bench.trial.engine import TrialEngine, placed
from mlpstorage_bench.trial.outcome import TrialOutcome
from mlpstorage_bench.trial.pooling import pool_on_root
from mlpstorage_bench.trial.series_recorder import pool_series
from mlpstorage_bench.trial.storage_modes import StorageModes
from mlpstorage_bench.units import KIB

Outcome = TrialOutcome[TrainingTrial, TrainingSamples]
_PERCENT = 100.0


class TrainingEngine(TrialEngine):
    """Makes datasets in the cache directory, and runs trials over them. A context manager."""

    def __init__(
        self,
        ranks: TrialRanks,
        site: RankSite,
        workloads: Mapping[str, TrainingWorkload] = MappingProxyType({}),
        seed: int = 0,
    ) -> None:
        super().__init__(ranks, site)
        self._workloads = workloads
        """Those of the plan, by name."""
        self._seed = seed
        """The plan's."""
        asked = {one.asked_mode for one in workloads.values()}
        self._storage = StorageModes(
            site, self._directory.path, asked, {"fdatasync"}, keeps_pages=True
        )
        self._looked_through: set[str] = set()
        """Directories of the datasets whose files this session made, or found."""
        self._ceilings: dict[str, Ceiling | None] = {}
        """Ceilings by training, as JSON."""

    def _modes(self) -> StorageModes:
        return self._storage

    @property
    def page_cache(self) -> PageCacheStates:
        """States of the page cache under this rank's directory; measured on the first rank."""
        return self._storage.page_cache

    @property
    def is_buffered(self) -> bool:
        """Whether a training of the plan reads its files through the page cache."""
        return self._storage.is_buffered

    def check_cases(self, cases: Sequence[str]) -> None:
        """Raise InvalidInputError with the plan's trainings that cannot run here."""
        for name in cases:
            self._mode_of(self._workloads[name])

    def _mode_of(self, workload: TrainingWorkload) -> None:
        """Raise InvalidInputError if this host has not what the training asks for."""
        self._storage.mode(workload.asked_mode)
        self._storage.alignment(workload.asked_mode, workload.io_chunk_kib)
        check_library(workload.format)
        if workload.reader == "torch":
            data_loader()

    def resolved(self, workload: TrainingWorkload) -> TrainingWorkload:
        """Return a training with its number of files, the same on every rank.

        InvalidInputError if the dataset has too few samples for two steps.
        """
        files = files_of(workload, self._ranks.size, self._memory_of_hosts(workload))
        found = workload.model_copy(update={"num_files_train": files})
        if self.steps_of(found) < 2:  # noqa: PLR2004 - the first step does not count
            raise InvalidInputError(
                "num_files_train",
                files,
                f"files for two steps of {self._ranks.size} ranks, of {workload.batch} samples "
                "each",
            )
        return found

    def io_mode_of(self, workload: TrainingWorkload) -> IoMode:
        """Return how a training's files are read here, on rank 0."""
        return self._ranks.bcast(self._storage.mode(workload.asked_mode))

    def steps_of(self, workload: TrainingWorkload) -> int:
        """Return the steps of an epoch of a resolved training."""
        dataset = self.place(workload).dataset
        return workload.epochs_of(dataset, self._ranks.size).steps

    def _memory_of_hosts(self, workload: TrainingWorkload) -> int:
        """Return the memory of all hosts together, on every rank."""
        own = host_memory_bytes(workload)
        of_ranks = self._ranks.gather((self._site.host, own))
        total = None if of_ranks is None else sum(dict(of_ranks).values())
        return self._ranks.bcast(total) or own

    def place(self, workload: TrainingWorkload) -> DatasetPlace:
        """Return the place of the data of a resolved training."""
        files = workload.num_files_train
        assert files is not None
        chunk_bytes = workload.io_chunk_kib * KIB
        contents = Contents.of(workload, files, self._seed, chunk_bytes)
        dataset = workload.dataset(files, self._seed)
        return DatasetPlace(self._site.cache_dir, contents, dataset)

    def _context(self, workload: TrainingWorkload) -> TrainingContext:
        mode = self._storage.mode(workload.asked_mode)
        return TrainingContext(
            rank=self._ranks.rank,
            host=self._site.host,
            place=self.place(workload),
            io_mode=mode,
            best_io_mode=self._storage.best_io_mode,
            best_queue=self._storage.queue(mode),
            uses_workers=self._storage.uses_workers,
            counters=self._counters,
            empties_cache=self._site.is_first_on_host,
        )

    def has_looked_through(self, workload: TrainingWorkload) -> bool:
        """Return whether this session has made or found the files of a resolved training."""
        return str(self.place(workload).directory) in self._looked_through

    def generate(self, workload: TrainingWorkload, *, looks_for_all: bool) -> Generated:
        """Make the files of a resolved training that do not exist, on all ranks together.

        A dataset that was complete is looked through with `looks_for_all` alone.
        """
        self._mode_of(workload)
        with placed(self._place):
            made = generate(
                workload,
                self._context(workload),
                self._ranks,
                self.watch,
                self._storage.free_bytes(),
                looks_for_all=looks_for_all,
            )
        self._looked_through.add(str(self.place(workload).directory))
        return made

    def run_trial(self, workload: TrainingWorkload, trial: int) -> Outcome:
        """Run a trial of a resolved training on all ranks; its data exists."""
        started_at = self._log.start_of(trial)
        context = self._context(workload)
        with placed(self._place):
            ceiling = self._ceiling(workload, context)
            with self._log.record("cache_emptied", trial):
                if context.io_mode != "direct" and context.empties_cache:
                    _drop_pages(context.place)
            self._ranks.barrier()
            with self._log.record("trial", trial):
                run = run_with_torch if workload.reader == "torch" else run_training
                mine = run(workload, context, self._ranks, self.watch)
        failure = None if mine.failure is None else mine.failure.with_place(self._place)
        mine = replace(mine, failure=failure, started_at=started_at, ceiling=ceiling)
        pooled, samples = pool_ranks(self._ranks, trial, mine)
        series = pool_series(self._ranks, mine.series)
        steps = self._log.unreported()
        results = self._ranks.gather(rank_result(workload, trial, mine, steps))
        return TrialOutcome(pooled, samples, results, series)

    def _ceiling(self, workload: TrainingWorkload, context: TrainingContext) -> Ceiling | None:
        """Return this rank's ceiling, measured once; None for reads of a library."""
        if workload.reads_by_library:
            return None
        key = workload.model_dump_json()
        if key not in self._ceilings:
            self.watch.begin("calibration", None)
            self._ceilings[key] = calibrate(workload, context, self._ranks)
        return self._ceilings[key]

    def pool_case(
        self,
        case: str,
        workload: TrainingWorkload,
        trials: list[TrainingTrial],
        samples: list[TrainingSamples],
    ) -> TrainingResult:
        """Return a training's result on every rank; `samples` are those of rank 0's trials."""
        pooled = self._ranks.bcast(pool_samples(TrainingSamples.total(samples)))
        is_cached = self._storage.mode(workload.asked_mode) != "direct"
        can_be_direct = is_cached and self._storage.best_io_mode == "direct"
        direct = workload.settings_of_direct_reads if can_be_direct else ""
        least_au = _PERCENT * workload.training_model.least_au
        return pool_case(case, trials, pooled, least_au, direct)


def _drop_pages(place: DatasetPlace) -> None:
    """Drop the pages of all files of a dataset from this host's page cache."""
    io = FileIo("buffered", keeps_pages=True)
    for file in range(place.contents.files):
        io.open_uncached(place.path(file)).close()


def pool_ranks(
    ranks: Ranks, trial: int, mine: RankTraining
) -> tuple[TrainingTrial, TrainingSamples | None]:
    """Return the result of all ranks on every rank, and their samples on rank 0.

    An error of pooling on rank 0 is raised on every rank.
    """
    samples = ranks.merge(TrainingSamples.of([mine]), TrainingSamples.merge)
    result = pool_on_root(ranks, mine.totals(), lambda totals: pool_trial(trial, totals, samples))
    return result, samples
