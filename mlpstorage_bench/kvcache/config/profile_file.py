"""Profiles of the KV-cache benchmark: a named set of workloads, and the models that they define."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, field_validator

from mlpstorage_bench.kvcache.config.models import Geometry
from mlpstorage_bench.kvcache.config.workload import SYNONYMS, Workload
from mlpstorage_bench.paths import check_path_component
from mlpstorage_bench.profiles.quantities import Seconds
from mlpstorage_bench.profiles.reader import ProfileReader
from mlpstorage_bench.profiles.schema import Strict


class Profile(Strict):
    """A named set of workloads, and the number of their trials."""

    name: str
    """Name of the profile in results."""
    description: str = ""
    """Content of the profile, for readers."""
    comparable: bool = False
    """Whether results are comparable with MLPerf's."""
    model: str
    """Model name in the path of results."""
    models: dict[str, Geometry] = Field(default_factory=dict)
    """Models that the profile defines, by name; they take precedence over the package's."""
    seed: int = Field(default=42, ge=0, lt=2**63)
    """Seed of rank 0; other ranks add their number."""
    trials: int = Field(default=3, ge=1, le=1000)
    """Timed repetitions of each test."""
    scenario_trials: int | None = Field(default=None, ge=1, le=1000)
    """Trials of tests marked `mlps_scenario`; None: `trials`."""
    delay_before_trial: Seconds = 0.0
    """Pause before each trial, in seconds; then the cache is emptied."""
    delay_after_trial: Seconds = 0.0
    """Pause after each trial, in seconds; its entries stay on storage."""
    delay_between_workloads: Seconds = 0.0
    """Another pause between two workloads, in seconds."""
    gate: dict[str, str] = Field(default_factory=dict)
    """Rules of the gate by METRIC or CASE/METRIC, such as -10%, >= 3 GiB/s or off."""
    workloads: dict[str, Workload] = Field(min_length=1)
    """Workloads by name."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        return check_path_component("name", value)

    @field_validator("model")
    @classmethod
    def _check_model(cls, value: str) -> str:
        return check_path_component("model", value)


def _with_geometries(content: Mapping[str, Any]) -> dict[str, Any]:
    """Add the geometry to each workload whose model the profile defines."""
    own = content.get("models")
    if not isinstance(own, dict):
        return dict(content)
    workloads = {
        name: {**workload, "geometry": own.get(workload.get("model"))}
        for name, workload in content["workloads"].items()
    }
    return {**content, "workloads": workloads}


_READER = ProfileReader(
    Profile,
    Workload,
    "mlpstorage_bench.kvcache.config",
    workload_synonyms=SYNONYMS,
    profile_synonyms={"delay_between_options": "delay_between_workloads"},
    derived=frozenset({"geometry"}),
    complete=_with_geometries,
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
) -> Profile:
    """Load a profile by name or path, and apply the user's settings."""
    return _READER.load(name, overrides, seed=seed, trials=trials)


def split_path(path: str) -> tuple[str | None, str]:
    """Split a dotted path into a workload's name and a key; for a common key the name is None."""
    return _READER.split_path(path)
