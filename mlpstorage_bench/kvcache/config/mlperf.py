"""MLPerf's sanctioned workloads: differences from them, and the rules of the CLOSED division."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from mlpstorage_bench.benchmark_type.plan import PlanRequest
from mlpstorage_bench.benchmark_type.records import Pauses
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.config.profile_file import Profile, load_profile

PROFILE = "mlperf"
OPTIONS = ("1", "2", "3")
"""Names of the sanctioned workloads: the reference's numbers."""
SEED = 42
TRIALS = 3

DIFFERS = "differs from the sanctioned workload: {}"
_WITHOUT_EFFECT = frozenset(
    {"title", "slos", "block_mib", "calibration", "read_back_gb", "trace_out"}
)
"""Parameters that may differ: they change no request and nothing within a window."""


def check_closed(request: PlanRequest) -> None:
    """Raise InvalidInputError with every setting that CLOSED does not allow."""
    overrides = ", ".join(f"{path}={value}" for path, value in request.overrides)
    violations = [
        f"--mlps-{name} (given: {given}; accepted: {accepted})"
        for name, given, accepted in (
            ("set", overrides or None, "nothing"),
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
            "the sanctioned workload; only the system's name, directories, hosts and ranks vary",
            hint=f"Not allowed: {'; '.join(violations)}. Use --mlps-mode open to vary them",
        )


@functools.cache
def _sanctioned() -> Profile:
    return load_profile(PROFILE)


def pauses_of(profile: Profile) -> Pauses:
    """Return the pauses of a profile."""
    return Pauses(
        profile.delay_before_trial, profile.delay_after_trial, profile.delay_between_workloads
    )


def differences(
    workload: str,
    parameters: Mapping[str, object],
    *,
    trials: int,
    seed: int | None,
    pauses: Pauses | None = None,
) -> list[str]:
    """Return the names of what differs from the sanctioned workload of this name.

    `parameters` are a workload's; those that it lacks, of an earlier version, do not differ. An
    unknown seed (None) does not differ either, nor do unknown pauses.
    """
    sanctioned = _sanctioned().workloads.get(workload)
    if sanctioned is None:
        return ["name"]
    differing = [
        name
        for name, value in sanctioned.model_dump().items()
        if name not in _WITHOUT_EFFECT and parameters.get(name, value) != value
    ]
    if seed not in (None, SEED):
        differing.append("seed")
    if pauses not in (None, pauses_of(_sanctioned())):
        differing.append("pauses")
    return differing + ["trials"] * (trials != TRIALS)
