"""Values of `mlps_run.record`: units, directions, and arguments that are refused."""

from __future__ import annotations

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.benchmark import KV_CACHE
from mlpstorage_bench.metric.declaration import Better
from mlpstorage_bench.session.recorded_values import RecordedValues


@pytest.fixture
def recorded() -> RecordedValues:
    return RecordedValues(KV_CACHE.metrics)


def test_value_has_its_unit_and_direction(recorded: RecordedValues) -> None:
    recorded.add("restore_gib_s", 1.5, "GiB/s", "higher")
    recorded.add("restores", 3, "", None)
    recorded.add("restores", 4, "", None)
    assert recorded.values == {"restore_gib_s": 1.5, "restores": 4}
    described = {name: facts.to_json() for name, facts in recorded.descriptions.items()}
    assert described == {
        "restore_gib_s": {"unit": "GiB/s", "better": "higher"},
        "restores": {"unit": ""},
    }


def test_declared_metric_keeps_its_own_description(recorded: RecordedValues) -> None:
    recorded.add("read_gib_s", 2.0, "GiB/s", None)
    assert recorded.descriptions == {}


@pytest.mark.parametrize(
    ("name", "value", "unit", "better", "problem"),
    [
        ("../x", 1, "", None, "mlps_run.record: got '../x'"),
        ("read_gib_s", 1, "MB/s", None, "read_gib_s: unit: got 'MB/s'; accepted: GiB/s, as of"),
        ("x", 1, 8, None, "x: unit: got 8; accepted: a text such as GiB/s"),
        ("x", 1, None, None, "x: unit: got None; accepted: a text such as GiB/s"),
        ("x", 1, "ms", "more", "x: better: got 'more'; accepted: higher, lower"),
        ("x", float("nan"), "ms", None, "x: got nan; accepted: a value that JSON can hold"),
        ("x", {1}, "ms", None, "x: got {1}; accepted: a value that JSON can hold"),
    ],
)
def test_wrong_argument_is_refused(
    recorded: RecordedValues, name: str, value: object, unit: str, better: Better, problem: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        recorded.add(name, value, unit, better)
    assert problem in str(caught.value)
    assert recorded.values == {}
