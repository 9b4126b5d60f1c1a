"""The plan of a checkpointing run: a profile with the user's changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.plan import HostCapacity
from mlpstorage_bench.benchmark_type.records import Json, Pauses
from mlpstorage_bench.benchmark_type.sizes import SizeReport
from mlpstorage_bench.checkpointing.config import mlperf
from mlpstorage_bench.checkpointing.config.parameters import KINDS, Parameters
from mlpstorage_bench.checkpointing.config.profile_file import Profile
from mlpstorage_bench.checkpointing.model.shares import checkpoint_bytes
from mlpstorage_bench.checkpointing.results.reference_parameters import counts_of
from mlpstorage_bench.checkpointing.sizing import datasize
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.profiles.plan import ProfilePlan
from mlpstorage_bench.units import duration, gib

NOT_COMPARABLE = "profile {}: not comparable to MLPerf"
_OF_REFERENCE = frozenset(
    {"num_checkpoints_write", "num_checkpoints_read", "fsync", "time_between_checkpoints"}
)
"""Keys that the reference has below `checkpoint`."""
_ARGUMENTS = frozenset(
    {"model", "phase", "subset", "io_mode", "accelerator", "drop_caches", "call_out"}
)
"""Keys of arguments of the reference's command, and of what submitters do beside it: no parameters
of the workload."""


@dataclass(frozen=True)
class CheckpointPlan(ProfilePlan[Profile]):
    """A profile with the user's changes, and values derived from it."""

    @property
    def own(self) -> Parameters:
        """The parameters."""
        return self.profile.parameters

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of the cases that can run: writes, then reads."""
        return tuple(self.profile.kinds)

    @property
    def pauses(self) -> Pauses:
        """The pauses of the profile."""
        return pauses_of(self.own)

    @property
    def trials(self) -> int:
        """The larger number of checkpoints that are written or read."""
        return max(self.profile.checkpoints(kind) for kind in self.profile.kinds)

    def schedule(self, cases: Sequence[str]) -> str:
        """Return how long the pauses of cases take, as a sentence; '' without pauses."""
        count = sum(self.profile.checkpoints(kind) for kind in KINDS if kind in cases)
        seconds = count * self.profile.time_between_checkpoints
        if not seconds:
            return ""
        most = "of up to" if self.profile.asynchronous else "of"
        return f"{count} checkpoints have pauses {most} {duration(seconds)} in all before them"

    def set_by_user(self) -> dict[str, object]:
        """Return the parameters that the user set on the command line."""
        names = {key for key, _ in self.overrides} & Parameters.model_fields.keys()
        return {name: getattr(self.profile, name) for name in names}

    def request_stream_sha256(self, rank: int, ranks: int) -> str:
        """Return the hash of a rank's files: their names, and the sizes of their parts."""
        profile, digest = self.profile, hashlib.sha256()
        files = profile.form.files(profile.trained, rank, profile.sharers(ranks), profile.scale)
        for file in files:
            digest.update(f"{file.name} {file.parts}\n".encode())
        return digest.hexdigest()

    def notes(self) -> list[str]:
        """Return notes for the reader of the results."""
        name = self.profile.name
        if not self.profile.comparable:
            return [NOT_COMPARABLE.format(name)]
        differing = mlperf.differences(self.own.model_dump())
        if not differing:
            return []
        return [f"profile {name}: differs from MLPerf's checkpointing: {', '.join(differing)}"]

    def parameters(self) -> Json:
        """Return the effective parameters."""
        return {
            **self.own.model_dump(mode="json"),
            "profile": self.profile.name,
            "seed": self.profile.seed,
            "checkpoint_folder": self.cache_dir,
        }

    def override_parameters(self) -> Json:
        """Return what differs from MLPerf's checkpointing, and what the user set.

        Names are the reference's dotted paths; values of the user are texts, as typed.
        """
        counts = {f"checkpoint.{name}": count for name, count in counts_of(self.own).items()}
        return {
            **counts,
            "checkpoint.checkpoint_folder": self.cache_dir,
            **_dotted(mlperf.changed_parameters(self.own).items()),
            **self._set_by_user,
        }

    @property
    def _set_by_user(self) -> Json:
        """The workload's parameters that the user set, by the reference's names."""
        return _dotted(self.overrides)

    def arguments(self) -> Json:
        """Return the values of the reference's arguments."""
        return {
            "benchmark": "checkpointing",
            "params": [f"{key}={value}" for key, value in self._set_by_user.items()] or "",
            "accelerator_type": self.profile.accelerator,
            "client_host_memory_in_gb": None,
            "model": self.model,
            "config": None,
            "seed": self.profile.seed,
            "data_access_protocol": "file",
            "o_direct": self.profile.io_mode == "direct",
            "checkpoint_folder": self.cache_dir,
            "checkpoint_subset": self.profile.subset,
            **counts_of(self.own),
        }

    def datasize(self, ranks_by_host: Sequence[int], capacity: HostCapacity) -> SizeReport:
        """Return the bytes needed by rank and host, and whether they fit."""
        return datasize(self.profile, self.cache_dir, ranks_by_host, capacity)

    def describe(self) -> list[str]:
        """Return a description of the cases, as lines for the terminal."""
        profile = self.profile
        size = checkpoint_bytes(profile.trained, profile.scale)
        facts = [
            f"{profile.model}, {gib(size)} GiB",
            *(f"{profile.checkpoints(kind)} checkpoints to {kind}" for kind in profile.kinds),
            f"{profile.time_between_checkpoints:g} s before each",
            f"files as {profile.writer} writes them",
            "fsync" if profile.fsync else "no fsync",
            *(["asynchronous"] if profile.asynchronous else []),
        ]
        return [
            for_terminal(line)
            for line in (
                f"profile {profile.name}: {profile.description}",
                f"checkpoints: {', '.join(facts)}",
                *filter(None, [self.schedule(self.cases)]),
            )
        ]


def _dotted(parameters: Iterable[tuple[str, object]]) -> Json:
    """Return parameters of the workload by the reference's names; ours where it has none."""
    return {
        f"checkpoint.{key}" if key in _OF_REFERENCE else f"mlpstorage.{key}": value
        for key, value in parameters
        if key not in _ARGUMENTS
    }


def pauses_of(parameters: Parameters) -> Pauses:
    """Return the pauses of checkpoints: one before each."""
    return Pauses(before_trial_s=parameters.time_between_checkpoints)
