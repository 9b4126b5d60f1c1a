"""The plan of a training run: a profile with the user's changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from mlpstorage_bench.benchmark_type.plan import HostCapacity
from mlpstorage_bench.benchmark_type.records import NO_PAUSES, Json, Pauses
from mlpstorage_bench.benchmark_type.sizes import SizeReport
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.profiles.plan import ProfilePlan
from mlpstorage_bench.training.config import mlperf
from mlpstorage_bench.training.config.profile_file import TrainingProfile, split_path
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.datasize import (
    TrainingCaseSize,
    datasize,
    files_of,
    host_memory_bytes,
)
from mlpstorage_bench.training.results.reference_parameters import (
    ARGUMENTS,
    changed_parameters,
    dotted,
)
from mlpstorage_bench.units import GIB

NOT_COMPARABLE = "profile {}: not comparable to MLPerf"
DATAGEN = "datagen"
"""Name of the option, and of the command, that makes data and measures no reads."""


@dataclass(frozen=True)
class TrainingPlan(ProfilePlan[TrainingProfile]):
    """A profile with the user's changes, and values derived from it."""

    is_shipped: bool = False
    """Whether the profile is one of the package, not a file of the user."""
    _sizes: dict[str, TrainingCaseSize] = field(default_factory=dict, compare=False)
    """Sizes that were computed for a layout of ranks, which `datasize` records."""

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of the trainings that can run."""
        return tuple(self.profile.workloads)

    @property
    def generates(self) -> bool:
        """Whether the session only makes data."""
        return bool(self.user_set.get(DATAGEN))

    @property
    def warm_up_trials(self) -> int:
        """Trials before the measured ones that do not count."""
        return 0 if self.generates else self.profile.warm_up_trials

    @property
    def pauses(self) -> Pauses:
        """A training has no pauses."""
        return NO_PAUSES

    def schedule(self, cases: Sequence[str]) -> str:
        """Return nothing: a training has no pauses, and waits as long as the storage takes."""
        del cases
        return ""

    def trials(self, *, is_scenario: bool) -> int:
        """Return the number of measured trials of each training."""
        if self.generates:
            return 1
        profile = self.profile
        return (profile.scenario_trials if is_scenario else None) or profile.trials

    def set_by_user(self, name: str) -> dict[str, object]:
        """Return the parameters of a training that the user set on the command line."""
        workload = self.profile.workloads[name]
        paths = (split_path(path) for path, _ in self.overrides)
        names = {key for of_workload, key in paths if of_workload in (None, name)}
        return {key: getattr(workload, key) for key in names & set(TrainingWorkload.model_fields)}

    def request_stream_sha256(self, rank: int, ranks: int) -> str:
        """Return the hash of a rank's reads in the first epoch, over all trainings."""
        digest = hashlib.sha256()
        for name, workload in sorted(self.profile.workloads.items()):
            files = files_of(workload, ranks, host_memory_bytes(workload))
            epochs = workload.epochs_of(workload.dataset(files, self.seed), ranks)
            digest.update(f"{name} {epochs.sha256(1, rank)}\n".encode())
        return digest.hexdigest()

    def notes(self) -> list[str]:
        """Return notes for the reader of the results."""
        name = self.profile.name
        if not self.profile.comparable:
            return [NOT_COMPARABLE.format(name)]
        differing = [
            difference
            for workload in self.profile.workloads.values()
            for difference in mlperf.differences(workload.model_dump(), self.seed)
        ]
        differing += mlperf.differing_repetitions(self.profile.trials, self.profile.warm_up_trials)
        if not differing:
            return []
        return [f"profile {name}: {mlperf.DIFFERS.format(', '.join(dict.fromkeys(differing)))}"]

    def parameters(self) -> Json:
        """Return the effective parameters: those of the first training, then each one's."""
        return {
            "model": self.model,
            "cache_dir": self.cache_dir,
            "profile": self.profile.name,
            "seed": self.profile.seed,
            "trials": self.profile.trials,
            "warm_up_trials": self.profile.warm_up_trials,
            "generates": self.generates,
            "workloads": {name: self._sized(name).model_dump() for name in self.cases},
        }

    def _sized(self, name: str) -> TrainingWorkload:
        """Return a training with the number of files that was computed for it, if it was."""
        workload, size = self.profile.workloads[name], self._sizes.get(name)
        if size is None:
            return workload
        return workload.model_copy(update={"num_files_train": size.num_files_train})

    def override_parameters(self) -> Json:
        """Return what the first training has other than its model, and what the user set.

        Names are the reference's dotted paths; values of the user are texts, as typed.
        """
        first = next(iter(self.profile.workloads.values()))
        of_profile = changed_parameters(first).items()
        return {**dict(dotted(name, value) for name, value in of_profile), **self._set_by_user}

    @property
    def _set_by_user(self) -> Json:
        """The parameters that the user set, under the reference's names."""
        set_keys = [(*split_path(path), value) for path, value in self.overrides]
        return dict(
            dotted(name, self._chunk_kib(workload) if name == "io_chunk_kib" else value)
            for workload, name, value in set_keys
            if name not in ARGUMENTS
        )

    def _chunk_kib(self, workload: str | None) -> int:
        """Return the size of a training's chunks, which the reference has in another unit."""
        workloads = self.profile.workloads
        return workloads[next(iter(workloads)) if workload is None else workload].io_chunk_kib

    def arguments(self) -> Json:
        """Return the values of the reference's arguments; those of the first training."""
        first = next(iter(self.profile.workloads.values()))
        memory = host_memory_bytes(first) / GIB
        size = next(iter(self._sizes.values()), None)
        return {
            "benchmark": "training",
            "model": self.model,
            "accelerator_type": first.accelerator,
            "client_host_memory_in_gb": memory,
            "data_dir": self.cache_dir,
            "o_direct": first.io_mode == "direct",
            **({} if size is None else {"max_accelerators": size.ranks}),
            "params": [f"{key}={value}" for key, value in self._set_by_user.items()] or "",
            "loops": self.profile.trials + self.profile.warm_up_trials,
        }

    def datasize(self, ranks_by_host: Sequence[int], capacity: HostCapacity) -> SizeReport:
        """Return the bytes of the datasets, and whether they fit."""
        report = datasize(self.profile, self.cache_dir, ranks_by_host, capacity)
        self._sizes.update(
            {size.case: size for size in report.cases if isinstance(size, TrainingCaseSize)}
        )
        return report

    def describe(self) -> list[str]:
        """Return a description of the trainings, as lines for the terminal."""
        profile = self.profile
        warm_up = f", {profile.warm_up_trials} to warm up" if profile.warm_up_trials else ""
        lines = [
            f"profile {profile.name}: {profile.description}",
            f"seed {profile.seed}, {profile.trials} measured trials{warm_up}",
        ]
        for name, workload in profile.workloads.items():
            facts = (
                f"{workload.model} on {workload.accelerator}",
                f"{workload.epoch_count} epochs",
                *([] if workload.steps is None else [f"{workload.steps} steps each"]),
                f"batches of {workload.batch}, {workload.computation_s:g} s of computation",
                f"{workload.workers} readers, {workload.ahead} batches ahead each",
                f"format {workload.format}",
                *([] if workload.scale == 1 else [f"samples scaled by {workload.scale:g}"]),
            )
            lines.append(f"training {name}, {workload.title}: {', '.join(facts)}")
        return list(map(for_terminal, lines))
