from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.benchmark_type.plan import PlanRequest
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.config.mlperf import check_closed, differences
from mlpstorage_bench.kvcache.config.profile_file import load_profile

REQUEST = PlanRequest(
    profile="mlperf",
    mode="closed",
    overrides=(),
    seed=None,
    trials=None,
    cache_dir=Path("/x"),
    user_set={"systemname": "s", "hosts": ["a", "b"], "num-processes": 8, "npernode": 4},
)


def refusal_message(**changes: Any) -> str:
    with pytest.raises(InvalidInputError) as caught:
        check_closed(replace(REQUEST, **changes))
    return str(caught.value)


def test_free_settings_are_accepted_in_closed() -> None:
    check_closed(REQUEST)


def test_sanctioned_values_are_accepted_in_closed() -> None:
    check_closed(replace(REQUEST, seed=42, trials=3))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"seed": 43}, "--mlps-seed (given: 43; accepted: 42)"),
        ({"trials": 1}, "--mlps-trials (given: 1; accepted: 3)"),
        ({"profile": "quick"}, "--mlps-profile (given: quick; accepted: mlperf)"),
        (
            {"overrides": (("duration", "5"), ("seed", "42"))},
            "--mlps-set (given: duration=5, seed=42; accepted: nothing)",
        ),
    ],
)
def test_only_the_violated_setting_is_named(changes: dict[str, object], expected: str) -> None:
    assert f"Not allowed: {expected}. Use" in refusal_message(**changes)


def test_all_violations_are_reported_together() -> None:
    message = refusal_message(overrides=(("duration", "5"),), seed=1, trials=1, profile="quick")
    options = ("set", "seed", "trials", "profile")
    assert [f"--mlps-{name}" in message for name in options] == [True] * len(options)


def parameters(workload: str, **changes: object) -> dict[str, object]:
    return {**load_profile("mlperf").workloads[workload].model_dump(), **changes}


@pytest.mark.parametrize("workload", ["1", "2", "3"])
def test_sanctioned_workload_differs_in_nothing(workload: str) -> None:
    same = parameters(workload, title="mine", calibration=0.0, read_back_gb=1.0)
    assert differences(workload, same, trials=3, seed=42) == []
    del same["promotion"]  # a parameter that earlier versions did not have
    assert differences(workload, same, trials=3, seed=None) == []


@pytest.mark.parametrize(
    ("changes", "trials", "seed", "expected"),
    [
        ({"duration": 6.0}, 1, 42, ["duration", "trials"]),
        ({"storage": "null"}, 3, 42, ["storage"]),
        ({"phase": "prefill", "verify_rate": 0.5}, 3, 7, ["phase", "verify_rate", "seed"]),
    ],
)
def test_whatever_differs_from_the_sanctioned_workload_is_named(
    changes: dict[str, object], trials: int, seed: int, expected: list[str]
) -> None:
    assert differences("1", parameters("1", **changes), trials=trials, seed=seed) == expected


def test_case_of_another_name_is_no_sanctioned_workload() -> None:
    assert differences("assistant", parameters("1"), trials=3, seed=42) == ["name"]
