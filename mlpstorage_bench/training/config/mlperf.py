"""MLPerf's sanctioned trainings: differences from them, and the rules of the closed division."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from mlpstorage_bench.benchmark_type.plan import PlanRequest
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.training.config.profile_file import (
    TrainingProfile,
    load_profile,
    split_path,
)
from mlpstorage_bench.training.workload.models import MODELS

PROFILE = "mlperf"
SEED = 42
TRIALS = 5
WARM_UP_TRIALS = 1
DIFFERS = "differs from the sanctioned training: {}"
ACCELERATORS = ("b200", "mi355")
"""Accelerators of the closed division."""

TUNABLE = frozenset(
    {
        *("model", "accelerator", "num_files_train", "client_host_memory_in_gb"),
        *("read_threads", "prefetch_size", "prefetch_factor"),
        *("io_mode", "io_chunk_kib", "chunks_in_flight", "io_threads", "io_queue"),
    }
)
"""Parameters that closed leaves to the submitter (Rules 3.6.2), and those of this harness's I/O."""
_WITHOUT_EFFECT = frozenset({"title", "verify_rate"})


def check_closed(request: PlanRequest) -> None:
    """Raise InvalidInputError with every setting that CLOSED does not allow."""
    fixed = [
        f"{path}={value}" for path, value in request.overrides if split_path(path)[1] not in TUNABLE
    ]
    violations = [
        f"--mlps-{name} (given: {given}; accepted: {accepted})"
        for name, given, accepted in (
            ("set", ", ".join(fixed) or None, ", ".join(sorted(TUNABLE))),
            ("seed", request.seed, SEED),
            ("trials", request.trials, TRIALS),
            ("profile", request.profile, PROFILE),
        )
        if given not in (None, accepted)
    ]
    if violations:
        raise InvalidInputError(
            "--mlps-mode",
            "closed",
            "a sanctioned training; only what rule 3.6.2 lists, directories, hosts and ranks vary",
            hint=f"Not allowed: {'; '.join(violations)}. Use --mlps-mode open to vary them",
        )


def check_sanctioned(profile: TrainingProfile) -> None:
    """Raise InvalidInputError if CLOSED has no such model or accelerator."""
    sanctioned = [name for name, model in MODELS.items() if model.is_sanctioned]
    for workload in profile.workloads.values():
        if workload.model not in sanctioned or workload.accelerator not in ACCELERATORS:
            raise InvalidInputError(
                "--mlps-mode",
                "closed",
                f"{' or '.join(sanctioned)} with {' or '.join(ACCELERATORS)}",
                hint=f"Given: {workload.model} with {workload.accelerator}",
            )


@functools.cache
def _sanctioned() -> Mapping[str, object]:
    (workload,) = load_profile(PROFILE).workloads.values()
    return workload.model_dump()


def differing_repetitions(trials: object, warm_up_trials: object) -> list[str]:
    """Return which numbers of trials differ from those of the sanctioned trainings."""
    return ["trials"] * (trials != TRIALS) + ["warm_up_trials"] * (warm_up_trials != WARM_UP_TRIALS)


def differences(parameters: Mapping[str, object], seed: int | None) -> list[str]:
    """Return the names of what differs from the sanctioned training of this model.

    `parameters` are a training's; those that it lacks, of an earlier version, do not differ. An
    unknown seed (None) does not differ either.
    """
    model = MODELS.get(str(parameters.get("model")))
    differing = [
        name
        for name, value in _sanctioned().items()
        if name not in TUNABLE | _WITHOUT_EFFECT and parameters.get(name, value) != value
    ]
    if model is None or not model.is_sanctioned:
        differing.append("model")
    if parameters.get("accelerator") not in ACCELERATORS:
        differing.append("accelerator")
    if seed not in (None, SEED):
        differing.append("seed")
    return differing
