"""Service level objectives: their form, and the description of classes of requests."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.config.request_counters import (
    ClassCounters,
    EndedRequest,
    RequestCounters,
)
from mlpstorage_bench.kvcache.config.slo import (
    Objective,
    Slo,
    describe,
    objective_of_marker,
)
from mlpstorage_bench.kvcache.workload.users import QOS_CLASSES
from mlpstorage_bench.measure.window import Window

MS = 1_000_000


def classes(**latencies_ms: list[int]) -> dict[str, ClassCounters]:
    window = Window()
    window.opened_ns, window.closes_ns = 0, 2**62
    statistics = RequestCounters()
    for name, values in latencies_ms.items():
        qos = next(qos for qos in QOS_CLASSES if qos.name == name)
        for value in values:
            EndedRequest(0, 0, value * MS, value * MS, 10, 1, qos).add_to(statistics, window)
    return statistics.classes


def test_classes_are_described_with_targets_of_the_reference() -> None:
    described = describe(classes(interactive=[10, 20, 60, 70], batch=[999, 1001]))
    assert list(described) == ["interactive", "batch"]
    interactive = described["interactive"]
    assert (interactive["requests"], interactive["within_target"]) == (4, 0.5)
    assert interactive["p95_ms"] == pytest.approx(70, rel=0.008)
    targets = [interactive[f"target_{name}_ms"] for name in ("p95", "p99", "p999", "p9999")]
    assert targets == [50, 100, 150, 200]
    assert described["batch"]["within_target"] == 0.5


def test_marker_gives_an_objective() -> None:
    assert objective_of_marker(("batch",), {"p95_ms": 5}) == Objective("batch", Slo(p95_ms=5))


@pytest.mark.parametrize(
    ("arguments", "limits", "message"),
    [
        ((), {"p95_ms": 5}, "one of interactive, responsive, batch, read, "),
        (("urgent",), {"p95_ms": 5}, "one of interactive"),
        (("read_blok",), {"p95_ms": 5}, "Did you mean 'read_block'"),
        (("batch",), {}, "no limit given"),
        (("batch",), {"p90_ms": 5}, "p90_ms"),
        (("batch",), {"p95_ms": 0}, "p95_ms: .*greater than 0"),
    ],
)
def test_marker_without_a_valid_limit_is_refused(
    arguments: tuple[str, ...], limits: dict[str, float], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        objective_of_marker(arguments, limits)


def test_negative_limit_is_refused() -> None:
    with pytest.raises(ValidationError):
        Slo(p95_ms=-1.0)
