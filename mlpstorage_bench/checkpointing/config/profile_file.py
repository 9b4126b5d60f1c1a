"""Profiles of checkpointing: names of the package, or files of users."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from pydantic import Field, field_validator

from mlpstorage_bench.checkpointing.config.parameters import Parameters
from mlpstorage_bench.paths import check_path_component
from mlpstorage_bench.profiles.flat import load_flat
from mlpstorage_bench.profiles.values import shipped_in

_FIXED = frozenset({"name", "comparable"})
"""Keys that the command line cannot set."""


class Profile(Parameters):
    """A named set of parameters."""

    name: str
    """Name of the profile in results."""
    description: str = ""
    """Content of the profile, for readers."""
    comparable: bool = False
    """Whether results are comparable with MLPerf's."""
    seed: int = Field(default=42, ge=0, lt=2**63)
    """Seed of the content of files."""
    gate: dict[str, str] = Field(default_factory=dict)
    """Rules of the gate by METRIC or CASE/METRIC, such as -10%, >= 3 GiB/s or off."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        return check_path_component("name", value)

    @property
    def parameters(self) -> Parameters:
        """The parameters alone."""
        return Parameters(**{name: getattr(self, name) for name in Parameters.model_fields})


@functools.cache
def shipped_profiles() -> Mapping[str, str]:
    """Return the profiles in the package: name → YAML text."""
    return shipped_in("mlpstorage_bench.checkpointing.config")


def load_profile(
    name: str,
    overrides: Iterable[tuple[str, str]] = (),
    *,
    seed: int | None = None,
    trials: int | None = None,
) -> Profile:
    """Load a profile by name or path, and apply the user's settings.

    `trials` is the number of checkpoints that are written, and of those that are read.
    """
    counts = ("num_checkpoints_write", "num_checkpoints_read")
    options: dict[str, object] = {} if trials is None else dict.fromkeys(counts, trials)
    if seed is not None:
        options["seed"] = seed
    return load_flat(Profile, shipped_profiles(), name, overrides, options=options, fixed=_FIXED)
