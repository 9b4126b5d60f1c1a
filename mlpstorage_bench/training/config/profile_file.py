"""Profiles of the training benchmark: a model, and the trainings that read its samples."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, field_validator

from mlpstorage_bench.paths import check_path_component
from mlpstorage_bench.profiles.reader import ProfileReader
from mlpstorage_bench.profiles.schema import Strict
from mlpstorage_bench.training.config.workload import SYNONYMS, TrainingWorkload


class TrainingProfile(Strict):
    """A named set of trainings, and the number of their trials."""

    name: str
    """Name of the profile in results."""
    description: str = ""
    """Content of the profile, for readers."""
    comparable: bool = False
    """Whether results are comparable with MLPerf's."""
    model: str
    """Model name in the path of results."""
    seed: int = Field(default=42, ge=0, lt=2**63)
    """Seed of the sizes of samples and of their order, the same for all ranks."""
    trials: int = Field(default=1, ge=1, le=1000)
    """Measured repetitions of each training."""
    warm_up_trials: int = Field(default=0, ge=0, le=10)
    """Repetitions before them that do not count."""
    scenario_trials: int | None = Field(default=None, ge=1, le=1000)
    """Trials of tests marked `mlps_scenario`; None: `trials`."""
    gate: dict[str, str] = Field(default_factory=dict)
    """Rules of the gate by METRIC or CASE/METRIC, such as -10%, >= 3 GiB/s or off."""
    workloads: dict[str, TrainingWorkload] = Field(min_length=1)
    """Trainings by name."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        return check_path_component("name", value)

    @field_validator("model")
    @classmethod
    def _check_model(cls, value: str) -> str:
        return check_path_component("model", value)


_READER = ProfileReader(
    TrainingProfile,
    TrainingWorkload,
    "mlpstorage_bench.training.config",
    workload_synonyms=SYNONYMS,
)


def shipped_profiles() -> dict[str, str]:
    """Return the profiles in the package: name → YAML text."""
    return _READER.shipped()


def parameter_names() -> frozenset[str]:
    """Return the keys that the command line can set, without workloads."""
    return _READER.settable


def load_profile(
    name: str,
    overrides: Iterable[tuple[str, str]] = (),
    *,
    seed: int | None = None,
    trials: int | None = None,
) -> TrainingProfile:
    """Load a profile by name or path, and apply the user's settings."""
    return _READER.load(name, overrides, seed=seed, trials=trials)


def split_path(path: str) -> tuple[str | None, str]:
    """Split a dotted path into a training's name and a key; for a common key the name is None."""
    return _READER.split_path(path)
