"""Parts of a run's metadata: cases, tests, hosts, the gate, and descriptions of metrics."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mlpstorage_bench.benchmark_type.records import ObjectiveRecord
from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.measure.time_series import TimeSeries
from mlpstorage_bench.metric.declaration import Description, Shown, default_title
from mlpstorage_bench.metric.values import number_of, numbers_of
from mlpstorage_bench.units import unit_named

_MOST = (1 << 31) - 1


_LEAST, _GREATEST = 1e-60, 1e60
"""Beyond every measurement in any unit; the gate can still calculate with their squares."""


def is_measurement(number: float) -> bool:
    """Return whether a measurement can have this value."""
    return not number or _LEAST <= abs(number) <= _GREATEST


def _checked_objective(one: ObjectiveRecord) -> ObjectiveRecord:
    """Return an objective; ValueError for one with a number that none can have."""
    numbers = (one.limit_ms, one.seen_ms or 0, one.samples)
    if not all(0 <= number <= _GREATEST for number in numbers):
        raise ValueError(f"numbers from 0 to {_GREATEST:g}")
    return one


def _measurements(values: object) -> object:
    """Return the numbers among values; ValueError for one that no measurement can have."""
    if not isinstance(values, dict):
        return values
    numbers = numbers_of(values)
    for name, number in numbers.items():
        if not is_measurement(number):
            raise ValueError(f"numbers from {_LEAST:g} to {_GREATEST:g}, unlike {name}")
    return numbers


Number = Annotated[float | None, BeforeValidator(number_of)]
"""A finite number; None for anything else."""
Count = Annotated[int, Field(strict=True, ge=1, le=_MOST)]
"""A number of things, or the number of one of them."""
Object = dict[str, object]
"""A JSON object whose fields only its own benchmark type or a comparison knows."""


class Part(BaseModel):
    """A JSON object of the metadata."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, content: object) -> object:
        if isinstance(content, dict):
            return {name: value for name, value in content.items() if value is not None}
        return content


class MetricFacts(Part):
    """The description of a metric that the run's metadata has."""

    unit: str
    title: str = ""
    better: Literal["higher", "lower"] | None = None
    shown: Literal["detail", "report", "headline", "lists"] = "detail"
    has_spread: bool = False
    beside: str = ""
    beside_from: Number = None
    explained_by: str = ""
    meaning: str = ""

    @classmethod
    def of(cls, description: Description) -> Self:
        """Return the facts of a declared or recorded metric."""
        return cls.model_validate(description.to_json())

    def to_json(self) -> dict[str, object]:
        """Return the facts for JSON, without fields at their defaults."""
        return self.model_dump(exclude_defaults=True)

    def description(self, name: str) -> Description:
        """Return the description of the metric of this name."""
        return Description(
            name=name,
            title=self.title or default_title(name),
            unit=unit_named(self.unit),
            better=self.better,
            shown=Shown[self.shown.upper()],
            has_spread=self.has_spread,
            beside=self.beside,
            beside_from=self.beside_from,
            explained_by=self.explained_by,
            meaning=self.meaning,
        )


class TrialFacts(Part):
    """One trial of a case."""

    trial: Count
    """Its number, from 1."""
    metrics: Annotated[dict[str, float], BeforeValidator(_measurements)]
    """Metrics whose value is one number."""
    conditions: TrialConditions | None = None
    """Conditions that may have changed the metrics; None in old metadata."""
    time_series: TimeSeries | None = None
    """The trial by second; None in old metadata, and of a simulation."""


class CaseFacts(Part):
    """One case of a run."""

    test: str | None = None
    """Node ID of its test."""
    workload_fingerprint: str | None = None
    workload_fingerprint_parts: Object = {}
    trials: tuple[TrialFacts, ...] = ()
    objectives: tuple[Annotated[ObjectiveRecord, AfterValidator(_checked_objective)], ...] = ()
    """Objectives, met or not; none in old metadata."""


class OutcomeFacts(Part):
    """The outcome of one test of the session."""

    test: str
    outcome: str
    duration_s: Number = None
    message: str = ""


class Invocation(Part):
    """The command that started a session."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    environment: dict[str, str | None] = {}
    """Environment variables; None for those not set."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, content: object) -> object:
        return content  # the environment's nulls have a meaning of their own


class Commit(Part):
    """The commit of the tests' repository, as pytest-benchmark recorded it."""

    id: str | None = None
    branch: str | None = None


class NotJudgedFacts(Part):
    """A rule that the gate did not judge in a case, as there is no figure for it."""

    case: str = ""
    metric: str = ""
    rule: str = ""
    reason: str = ""


class UnusedRuleFacts(Part):
    """A rule of the user for which no case has a figure."""

    rule: str = ""
    source: str = ""
    reason: str = ""


class GateFacts(Part):
    """The gate's result on a run."""

    verdict: str | None = None
    """Verdict on the whole run; None in old metadata."""
    refusals: dict[str, str] = {}
    """Cases that were not compared, with the reason."""
    not_judged: tuple[NotJudgedFacts, ...] = ()
    unused_rules: tuple[UnusedRuleFacts, ...] = ()


class VerdictFacts(Part):
    """The gate's verdict on one metric of a case, as lists show it."""

    case: str = ""
    metric: str = ""
    verdict: str = "-"
    change: str = ""
    """Change from the baseline, in words; '' in old metadata, and without a baseline."""
    rule: str = ""
    reason: str = ""


class Cpu(Part):
    """The processors of a host."""

    model: str | None = None
    num_cores: int | None = None
    num_logical_cores: int | None = None


class Memory(Part):
    """The memory of a host."""

    total: Number = None
    """Bytes."""


class System(Part):
    """The operating system of a host."""

    kernel_version: str | None = None


class CacheFilesystem(Part):
    """The filesystem of a host's cache directory."""

    path: str | None = None
    """The cache directory."""
    fstype: str | None = None
    device: str | None = None
    model: str | None = None
    mount_point: str | None = None


class HostFacts(Part):
    """A host of a run."""

    hostname: str = "-"
    ranks: tuple[int, ...] = ()
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    system: System = System()
    cache_filesystem: CacheFilesystem = CacheFilesystem()


class IntegrityCheck(Part):
    """A check of one host: whether it does what figures rest on."""

    check: str
    """Name of the property."""
    host: str
    verdict: str
    """ok, finding or not measurable."""
    seen: str = ""
    """Observed state, in words."""

    @property
    def text(self) -> str:
        """The check in one line."""
        return f"{self.host}: {self.check}: {self.seen}"


class SystemAdditions(Part):
    """Our additions to the description of a run's hosts."""

    checks: tuple[IntegrityCheck, ...] = ()
    """Checks of the hosts; none in old metadata."""


class SystemInfo(Part):
    """The hosts of a run."""

    hosts: tuple[HostFacts, ...] = ()
    mlpstorage: SystemAdditions = SystemAdditions()


class CommandOutput(Part):
    """Files with the output of one of the reference's commands."""

    stdout: str | None = None
    stderr: str | None = None
