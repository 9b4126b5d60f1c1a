"""MLPerf's checkpointing: differences from it, and the rules of the CLOSED division."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from mlpstorage_bench.benchmark_type.plan import PlanRequest
from mlpstorage_bench.checkpointing.config.parameters import Parameters
from mlpstorage_bench.checkpointing.config.profile_file import load_profile
from mlpstorage_bench.checkpointing.model.shapes import MODELS
from mlpstorage_bench.errors import InvalidInputError

PROFILE = "mlperf"
CHECKPOINTS = 10
HANDOVER_S = 30.0
"""Most time from the end of the last write to the beginning of the first read, in seconds."""
MEMORY_FACTOR = 3
"""Each host writes more than so many times its memory, or the page cache is dropped."""

_SETTABLE = frozenset({"model", "phase", "accelerator", "io_mode", "call_out", "drop_caches"})
"""Keys that CLOSED allows to set."""
_MAY_DIFFER = _SETTABLE | {
    "io_chunk_kib",
    "chunks_in_flight",
    "lanes",
    "io_threads",
    "io_queue",
    "verify_rate",
}
"""Parameters that do not change what is written."""


def check_closed(request: PlanRequest) -> None:
    """Raise InvalidInputError with every setting that CLOSED does not allow."""
    overrides = [f"{key}={value}" for key, value in request.overrides if key not in _SETTABLE]
    violations = [
        f"--mlps-{name} (given: {given}; accepted: {accepted})"
        for name, given, accepted in (
            ("set", ", ".join(overrides) or None, ", ".join(sorted(_SETTABLE))),
            ("trials", request.trials, CHECKPOINTS),
            ("profile", request.profile, PROFILE),
        )
        if given not in (None, accepted)
    ]
    if violations:
        raise InvalidInputError(
            "--mlps-mode",
            "closed",
            "the checkpoints of the rules: 10 writes, 10 reads, fsync",
            hint=f"Not allowed: {'; '.join(violations)}. Use --mlps-mode open to vary them",
        )


@functools.cache
def _sanctioned() -> Parameters:
    return load_profile(PROFILE).parameters


def changed_parameters(parameters: Parameters) -> dict[str, object]:
    """Return the parameters in which a checkpointing differs from MLPerf's, without its counts."""
    plain = _sanctioned()
    return {
        name: value
        for name, value in parameters.model_dump(mode="json").items()
        if not name.startswith("num_checkpoints_") and value != getattr(plain, name)
    }


def differences(parameters: Mapping[str, object], ranks: int | None = None) -> list[str]:
    """Return the names of what differs from MLPerf's checkpointing.

    `parameters` that are missing, of an earlier version, do not differ; nor do unknown ranks.
    """
    differing = [
        name
        for name, value in _sanctioned().model_dump().items()
        if name not in _MAY_DIFFER and parameters.get(name, value) != value
    ]
    model = MODELS.get(str(parameters.get("model")))
    if model is not None and ranks not in (None, model.ranks):
        differing.append(f"ranks ({ranks}, not {model.ranks})")
    return differing
