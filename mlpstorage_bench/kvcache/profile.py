"""The workload's schema: what a profile may say, checked all at once.

A profile is a YAML file with values common to all its options, and the options themselves. Keys are
the reference's parameter names where it has them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.kvcache.cache.eviction import PolicyName
from mlpstorage_bench.kvcache.models import MODELS, Dtype, Geometry
from mlpstorage_bench.kvcache.slo import QosName, Slo
from mlpstorage_bench.names import check_segment
from mlpstorage_bench.storage.files import Durability, IoMode

PROFILE_OPTION = "--mlps-profile"
SET_OPTION = "--mlps-set"

GIB = 1 << 30
GENERATION_S_PER_TOKEN = {"none": 0.0, "fast": 0.002, "realistic": 0.030}

Layout = Literal["entry", "block", "slab"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


@dataclass(frozen=True)
class Share:
    """A rank's part of the users."""

    num_users: int
    first_user: int
    seed_offset: int
    """What the rank adds to the profile's seed."""


class Workload(_Strict):
    """The parameters of one option: what runs in one test case. Sizes `_gb` are in GiB."""

    title: str = "untitled"
    model: str
    """A model of MODELS or of the profile: its geometry gives the bytes per token."""
    geometry: Geometry | None = None
    """Filled in from the profile's own models; None for one of MODELS."""
    kv_dtype: Dtype | None = None
    """Type of the cached vectors; None: the model's."""
    tensor_parallel: int = Field(default=1, ge=1, le=1024)
    """Degree of tensor parallelism: a rank stores the shard of one of so many accelerators."""
    num_users: int = Field(ge=1, le=100_000)
    """Users of each rank: load grows with ranks, as the rules have it (weak scaling)."""
    users_total: int | None = Field(default=None, ge=1, le=10_000_000)
    """Users of all ranks together, instead: the same ones, however many ranks (strong scaling)."""
    duration: float = Field(gt=0, le=86_400, allow_inf_nan=False)
    """Length of the measurement window, in seconds."""
    warmup: NotNegative = 0.0
    """Seconds under load before the window opens."""
    gpu_mem_gb: NotNegative = 0.0
    """Memory of the first tier, per rank; emulated in host memory."""
    cpu_mem_gb: NotNegative = 0.0
    """Memory of the second tier, per rank."""
    storage_capacity_gb: Positive | None = None
    """What a rank may keep on storage; None: its share of 0.8 of the free space."""
    max_concurrent_allocs: int = Field(default=16, ge=1, le=4096)
    """Requests that a rank serves at once: one lane each."""
    generation_mode: Literal["none", "fast", "realistic"] = "none"
    """Time per generated token: 0, 2 or 30 ms, spent without occupying a lane."""
    eviction: PolicyName = "lru"
    """What goes first from a tier that is full: lru, lfu or fifo."""
    promotion: bool = False
    """Whether an entry that was read moves up to the highest tier."""
    phase: Literal["mixed", "prefill", "decode"] = "mixed"
    """`prefill` only writes; `decode` only reads what was written before the window."""
    decode_reads: Literal["reference", "once"] = "reference"
    """How often decoding reads the turn's entry: 1 + one per 32 tokens, or once."""
    layout: Layout = "entry"
    """How entries lie on storage: a file each, a file per block, or slots of preallocated files."""
    tokens_per_block: int = Field(default=256, ge=1, le=1 << 20)
    """Size of a block (layout `block`) or slot (layout `slab`), in tokens."""
    io_mode: IoMode | None = None
    """`direct` or `buffered`; None: direct where the filesystem has it."""
    durability: Durability = "none"
    """What is done when a file is complete: nothing, fdatasync or fsync."""
    io_chunk_kib: int = Field(default=1024, ge=4, le=1 << 20, multiple_of=4)
    """Size of a system call, in KiB."""
    chunks_in_flight: int = Field(default=1, ge=1, le=256)
    """Of one entry being read or written, at once."""
    verify_rate: float = Field(default=1.0, ge=0, le=1, allow_inf_nan=False)
    """Share of the chunks read whose content is checked."""
    compress_ratio: float = Field(default=1.0, ge=1, le=128, allow_inf_nan=False)
    """How many times smaller compression can make the data."""
    dedup_ratio: float = Field(default=1.0, ge=1, le=1000, allow_inf_nan=False)
    """How many times smaller deduplication can make the data."""
    calibration: NotNegative = 0.3
    """Seconds for each of the two measurements of the harness's own ceiling; 0 leaves them out."""
    entry_scale: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    """Fraction of each context's tokens that is stored; 1 for anything to be compared."""
    think_time_scale: NotNegative = 1.0
    """Factor on the users' think times."""
    slos: dict[QosName, Slo] = Field(default_factory=dict)
    """What classes of requests are promised: a run that breaks it fails."""
    write_limit_gb: Positive | None = None
    """What a rank may write to storage in one trial; the window closes when it is spent."""

    @model_validator(mode="after")
    def _model_has_a_geometry(self) -> Self:
        if self.geometry is None and self.model not in MODELS:
            raise ValueError(
                f"unknown model {self.model!r}; accepted: {', '.join(MODELS)}, or one under the "
                f"profile's models. {nearest(self.model, MODELS)}"
            )
        _ = self.bytes_per_token  # raises where the model cannot be divided so
        return self

    def share_of(self, rank: int, ranks: int) -> Share:
        """Return the users that one of so many ranks has."""
        if self.users_total is None:
            return Share(self.num_users, first_user=0, seed_offset=rank)
        if self.users_total < ranks:
            raise InvalidInputError(
                "users_total", self.users_total, f"at least one user for each of {ranks} ranks"
            )
        first = self.users_total * rank // ranks
        after = self.users_total * (rank + 1) // ranks
        return Share(after - first, first_user=first, seed_offset=0)

    @property
    def bytes_per_token(self) -> int:
        """Bytes of key/value data that this rank stores for a token."""
        geometry = self.geometry or MODELS[self.model]
        return geometry.bytes_per_token(self.kv_dtype, self.tensor_parallel)

    @property
    def generation_s_per_token(self) -> float:
        """Seconds that generating one token takes."""
        return GENERATION_S_PER_TOKEN[self.generation_mode]


class Profile(_Strict):
    """A named workload: its options, and how they are repeated."""

    name: str
    description: str = ""
    comparable: bool = False
    """Whether results may stand beside MLPerf's."""
    model: str
    """The model under whose name runs are filed."""
    models: dict[str, Geometry] = Field(default_factory=dict)
    """Models of the profile's own, by name; they go before MODELS."""
    seed: int = Field(default=42, ge=0, lt=2**63)
    """A rank uses seed + rank."""
    trials: int = Field(default=3, ge=1, le=1000)
    delay_between_options: NotNegative = 0.0
    """Seconds of rest between two options."""
    options: dict[str, Workload] = Field(min_length=1)

    @field_validator("name")
    @classmethod
    def _name_is_segment(cls, value: str) -> str:
        return check_segment("name", value)

    @field_validator("model")
    @classmethod
    def _model_is_segment(cls, value: str) -> str:
        return check_segment("model", value)


_OF_PROFILE = frozenset(Profile.model_fields) - {"model"}
_OF_WORKLOAD = frozenset(Workload.model_fields) - {"geometry"}


def shipped_profiles() -> dict[str, str]:
    """Return the profiles that come with the package: name → YAML text."""
    folder = resources.files("mlpstorage_bench.kvcache") / "profiles"
    return {
        item.name.removesuffix(".yaml"): item.read_text(encoding="utf-8")
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".yaml")
    }


def load_profile(
    name: str,
    overrides: Iterable[tuple[str, str]] = (),
    *,
    seed: int | None = None,
    trials: int | None = None,
) -> Profile:
    """Load a profile by name or file, and change in it only what the user set."""
    content = _read(name)
    profile = _validated(content, PROFILE_OPTION, name)
    assignments = list(overrides)
    for key, text in assignments:
        _override(content, key, text)
    if seed is not None:
        content["seed"] = seed
    if trials is not None:
        content["trials"] = trials
    if assignments or seed is not None or trials is not None:
        given = ", ".join(f"{key}={text}" for key, text in assignments)
        profile = _validated(content, SET_OPTION, given)
    return profile


def _read(name: str) -> dict[str, Any]:
    shipped = shipped_profiles()
    if name in shipped:
        text = shipped[name]
    else:
        path = Path(name)
        if path.suffix not in (".yaml", ".yml") and not path.is_file():
            raise InvalidInputError(
                PROFILE_OPTION,
                name,
                f"{', '.join(shipped)}, or the path of a YAML file",
                hint=nearest(name, shipped),
            )
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(
                PROFILE_OPTION, name, "a YAML file that can be read", hint=str(error)
            ) from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(PROFILE_OPTION, name, "valid YAML", hint=str(error)) from error
    if not isinstance(content, dict):
        raise InvalidInputError(PROFILE_OPTION, name, "a YAML mapping of parameters")
    return _spread_common_values(name, content)


def _spread_common_values(name: str, content: dict[Any, Any]) -> dict[str, Any]:
    """Put the values common to all options into each of them, where it has none of its own."""
    profile = {str(key): value for key, value in content.items()}
    common = {key: profile.pop(key) for key in _OF_WORKLOAD & (profile.keys() - {"model"})}
    if "model" in profile:
        common["model"] = profile["model"]
    for key in profile.keys() - _OF_PROFILE - {"model"}:
        raise _unknown_key(f"{PROFILE_OPTION} {name}", key)
    options = profile.get("options")
    if not isinstance(options, dict) or not all(isinstance(o, dict) for o in options.values()):
        raise InvalidInputError(
            f"{PROFILE_OPTION} {name}", options, "options: a mapping of names to parameters"
        )
    for key, option in options.items():
        if "geometry" in option:
            raise _unknown_key(f"{PROFILE_OPTION} {name}", f"options.{key}.geometry")
    profile["options"] = {
        check_segment(f"{PROFILE_OPTION} {name}: options", str(key)): {**common, **option}
        for key, option in options.items()
    }
    return profile


def _override(content: dict[str, Any], key: str, text: str) -> None:
    """Apply one KEY=VALUE: to the profile, to every option, or to `options.NAME` alone."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(SET_OPTION, f"{key}={text}", "a YAML value") from error
    options: dict[str, dict[str, Any]] = content["options"]
    first, _, rest = key.partition(".")
    if first == "options" and rest:
        option, _, parameter = rest.partition(".")
        if option not in options:
            raise InvalidInputError(
                SET_OPTION,
                f"{key}={text}",
                f"options of this profile: {', '.join(options)}",
                hint=nearest(option, options),
            )
        if parameter not in _OF_WORKLOAD:
            raise _unknown_key(SET_OPTION, key, parameter, _OF_WORKLOAD)
        options[option][parameter] = value
    elif key in _OF_WORKLOAD:
        for option_values in options.values():
            option_values[key] = copy.deepcopy(value)
        if key == "model":
            content["model"] = value
    elif key in _OF_PROFILE - {"options", "name", "comparable"}:
        content[key] = value
    else:
        raise _unknown_key(SET_OPTION, key)


def _unknown_key(
    source: str, key: str, name: str | None = None, known: Iterable[str] = ()
) -> InvalidInputError:
    names = sorted(known or _OF_WORKLOAD | _OF_PROFILE - {"options", "name", "comparable"})
    hint = nearest(key if name is None else name, names)
    return InvalidInputError(source, key, f"one of {', '.join(names)}", hint=hint)


def _validated(content: Mapping[str, Any], source: str, given: str) -> Profile:
    try:
        return Profile.model_validate(_with_geometries(content))
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
        raise InvalidInputError(
            source, given, "values within the profile's schema", hint=problems
        ) from error


def _with_geometries(content: Mapping[str, Any]) -> dict[str, Any]:
    """Put the geometry of each option's model into it, where the model is the profile's own."""
    own = content.get("models")
    if not isinstance(own, dict):
        return dict(content)
    options = {
        name: {**option, "geometry": own.get(option.get("model"))}
        for name, option in content["options"].items()
    }
    return {**content, "options": options}


def _describe(problem: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])
        return f"{where}: unknown key. {nearest(key, _OF_WORKLOAD | _OF_PROFILE)}".rstrip()
    return f"{where}: {problem['msg']} (got {problem['input']!r})"
