"""Service level objectives: limits for requests of a class, and for operations on storage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.kvcache.config.request_counters import ClassCounters
from mlpstorage_bench.kvcache.workload.users import QOS_CLASSES
from mlpstorage_bench.measure.operation_statistics import Kind

ClassName = Literal["interactive", "responsive", "batch"]
OperationName = Literal["read", "write", "read_block", "write_block", "read_chunk", "write_chunk"]
ObjectiveName = ClassName | OperationName
MARKER = "mlps_slo"
PERCENTILES = {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0, "p999_ms": 99.9, "p9999_ms": 99.99}


@dataclass(frozen=True)
class Operation:
    """An operation on storage whose time an objective limits."""

    kind: Kind
    span: Literal["device", "block", "chunk"]
    of: str
    """Name of the moved parts, in the plural."""


OPERATIONS: Mapping[str, Operation] = {
    "read": Operation("read", "device", "entries"),
    "write": Operation("write", "device", "entries"),
    "read_block": Operation("read", "block", "blocks"),
    "write_block": Operation("write", "block", "blocks"),
    "read_chunk": Operation("read", "chunk", "chunks"),
    "write_chunk": Operation("write", "chunk", "chunks"),
}
"""Operations by the name of their objective."""
NAMES = (*(qos.name for qos in QOS_CLASSES), *OPERATIONS)
"""Names of all objectives."""


class Slo(BaseModel):
    """Limits on percentiles of a latency, in milliseconds: of a class, from end to end."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    p50_ms: float | None = Field(default=None, gt=0, le=1e9, allow_inf_nan=False)
    p95_ms: float | None = Field(default=None, gt=0, le=1e9, allow_inf_nan=False)
    p99_ms: float | None = Field(default=None, gt=0, le=1e9, allow_inf_nan=False)
    p999_ms: float | None = Field(default=None, gt=0, le=1e9, allow_inf_nan=False)
    p9999_ms: float | None = Field(default=None, gt=0, le=1e9, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_limit_given(self) -> Self:
        if not self.limits:
            raise ValueError(f"no limit given; accepted: one or more of {', '.join(PERCENTILES)}")
        return self

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name of the percentile."""
        return {name: value for name in PERCENTILES if (value := getattr(self, name)) is not None}


@dataclass(frozen=True)
class Objective:
    """Limits for one class of requests, or one operation on storage."""

    name: ObjectiveName
    slo: Slo


def on_storage(names: Iterable[str]) -> str:
    """Return the first objective that limits an operation on storage; '' if there is none."""
    return next((name for name in names if name in OPERATIONS), "")


def on_blocks(names: Iterable[str]) -> str:
    """Return the first objective that limits the time of blocks; '' if there is none."""
    of_blocks = {name for name, operation in OPERATIONS.items() if operation.span == "block"}
    return next((name for name in names if name in of_blocks), "")


def objective_of_marker(arguments: Sequence[Any], limits: Mapping[str, Any]) -> Objective:
    """Return the objective of a marker like `@pytest.mark.mlps_slo("interactive", p95_ms=50)`."""
    if len(arguments) != 1 or arguments[0] not in NAMES:
        raise InvalidInputError(
            f"@pytest.mark.{MARKER}",
            list(arguments),
            f"one of {', '.join(NAMES)}",
            hint=nearest(str(arguments[0]), NAMES) if arguments else "",
        )
    try:
        return Objective(arguments[0], Slo.model_validate(dict(limits)))
    except ValidationError as error:
        problem = error.errors()[0]
        raise InvalidInputError(
            f"@pytest.mark.{MARKER}",
            dict(limits),
            f"milliseconds for {', '.join(PERCENTILES)}",
            hint=f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}".lstrip(": "),
        ) from error


def describe(classes: Mapping[str, ClassCounters]) -> dict[str, dict[str, object]]:
    """Return each class's end-to-end latency and target, and the share of requests within it."""
    described: dict[str, dict[str, object]] = {}
    for qos in QOS_CLASSES:
        statistics = classes.get(qos.name)
        if statistics is None or not statistics.latency.count:
            continue
        latency = statistics.latency
        described[qos.name] = {
            "requests": latency.count,
            **{name: latency.percentile_ms(percent) for name, percent in PERCENTILES.items()},
            **{f"target_{name}": target for name, target in qos.targets_ms.items()},
            "within_target": statistics.within_target / latency.count,
        }
    return described
