"""Service level objectives for classes of requests, and their check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.config.request_counters import ClassCounters
from mlpstorage_bench.kvcache.workload.users import QOS_CLASSES

QosName = Literal["interactive", "responsive", "batch"]
MARKER = "mlps_slo"
PERCENTILES = {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0, "p999_ms": 99.9, "p9999_ms": 99.99}


class Slo(BaseModel):
    """Limits on percentiles of a class's end-to-end latency, in milliseconds."""

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
    """Limits for one class of requests."""

    qos: str
    slo: Slo


def objective_of_marker(arguments: Sequence[Any], limits: Mapping[str, Any]) -> Objective:
    """Return the objective of a marker like `@pytest.mark.mlps_slo("interactive", p95_ms=50)`."""
    names = [qos.name for qos in QOS_CLASSES]
    if len(arguments) != 1 or arguments[0] not in names:
        raise InvalidInputError(
            f"@pytest.mark.{MARKER}", list(arguments), f"one class of {', '.join(names)}"
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


def violations(objectives: Sequence[Objective], classes: Mapping[str, ClassCounters]) -> list[str]:
    """Return a sentence for each limit that was exceeded, or that could not be checked."""
    problems = []
    for objective in objectives:
        statistics = classes.get(objective.qos)
        for name, limit_ms in objective.slo.limits.items():
            percent = PERCENTILES[name]
            seen_ms = None if statistics is None else statistics.latency.percentile_ms(percent)
            if statistics is None or seen_ms is None:
                problems.append(f"{objective.qos}: no request ended, so {name} is unknown")
            elif seen_ms > limit_ms:
                problems.append(
                    f"{objective.qos}: {name} is {seen_ms:.1f}; accepted: at most {limit_ms:g} "
                    f"({statistics.latency.count} requests)"
                )
    return problems


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
